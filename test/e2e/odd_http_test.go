package e2e_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// chunked sends a body in chunks, some of them invalid.
func chunked(r *rand.Rand, seed []byte) input {
	var b bytes.Buffer
	b.WriteString("POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
	for rest := seed; len(rest) > 0; {
		n := min(1+r.IntN(100), len(rest))
		size := fmt.Sprintf("%x", n)
		switch r.IntN(200) {
		case 0:
			size = "-1"
		case 1:
			size = strings.Repeat("f", 20)
		case 2:
			size = "zz"
		case 3:
			size += ";x=" + strings.Repeat("y", r.IntN(5000))
		case 4:
			size = fmt.Sprintf("%x", n+1)
		}
		b.WriteString(size + "\r\n")
		b.Write(rest[:n])
		b.WriteString("\r\n")
		rest = rest[n:]
	}
	b.WriteString([]string{"0\r\n\r\n", "0\r\n\r\n", "0\r\n\r\n", "0\r\nX-Trailer: a\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n", "", "0", "0\r\n" + strings.Repeat("a: b\r\n", 500)}[r.IntN(8)])
	return input{bytes: b.Bytes(), end: half}
}

// repeatedHeader duplicates headers that may occur only once.
func repeatedHeader(r *rand.Rand, seed []byte) input {
	lines := []string{
		"Content-Type: application/json\r\n", "Content-Type: text/html\r\n", "Content-Type: ;\r\n", "Content-Length: 5\r\n",
		fmt.Sprintf("Content-Length: %d\r\n", len(seed)), "Content-Length: -1\r\n", "Content-Length: 1e3\r\n", "Transfer-Encoding: chunked\r\n",
		"Transfer-Encoding: gzip\r\n", "Idempotency-Key: a\r\n", "Idempotency-Key: b\r\n", "Traceparent: " + traceparent + "\r\n",
		"Traceparent: 00-" + strings.Repeat("0", 32) + "-0000000000000000-00\r\n", "Tracestate: " + strings.Repeat("a=1,", r.IntN(400)) + "\r\n",
		"X-Azure-Functions-InvocationId: mine\r\n", "X-Azure-Functions-InvocationId: , ,\x01\r\n", "Host: y\r\n", "Expect: 100-continue\r\n",
		"Expect: the-unexpected\r\n", "Upgrade: h2c\r\nConnection: Upgrade\r\n", " folded\r\n", "No-Colon\r\n", ": no name\r\n", "Bad Name: x\r\n",
		"X: \x00\r\n", "X: \xff\r\n", "Content-Encoding: gzip\r\n",
	}
	var headers strings.Builder
	for range 1 + r.IntN(4) {
		headers.WriteString(lines[r.IntN(len(lines))])
	}
	return input{bytes: request(headers.String(), seed), end: half}
}

// idempotencyKey has odd event ids.
func idempotencyKey(r *rand.Rand, seed []byte) input {
	key := []string{
		"", " ", "a b", strings.Repeat("k", 128), strings.Repeat("k", 129), strings.Repeat("k", 20_000), "\t", "é", "\xff", "\x7f", `"quoted"`,
		"a,b", "a;b=c", "auth0|1", string(rune('!' + r.IntN(94))), strconv.FormatUint(r.Uint64(), 10),
	}[r.IntN(16)]
	return input{bytes: request("Idempotency-Key: "+key+"\r\n", seed)}
}

// garbage is not HTTP, or a very old version.
func garbage(r *rand.Rand, seed []byte) input {
	return input{end: half, bytes: [][]byte{
		noise(r, 5000), seed,
		{},
		[]byte("\r\n\r\n"), []byte("GET /\r\n\r\n"), []byte("GET / HTTP/9.9\r\n\r\n"), []byte("GET / HTTP/1.1\r\n\r\n"),
		[]byte("GET / HTTP/1.0\r\n\r\n"), []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		[]byte("\x00\x00\x00\x14\x00\x12\x00\x00"), []byte("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
		[]byte("CONNECT x:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), []byte("POST /" + strings.Repeat("a", r.IntN(120_000))),
		[]byte(strings.Repeat("POST ", 100) + "\r\n\r\n"), []byte("POST /api/RegisterUser HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}"),
	}[r.IntN(16)]}
}

// target has odd methods and paths.
func target(r *rand.Rand, seed []byte) input {
	method := []string{"POST", "POST", "POST", "GET", "PUT", "post", "POST\x00", "P-O-S-T", strings.Repeat("M", 3000)}[r.IntN(9)]
	path := []string{
		"/api/RegisterUser", "/API/REGISTERUSER/", "/api/RegisterUser//", "/api//RegisterUser", "/api/./RegisterUser", "/x/../api/RegisterUser",
		"/api%2FRegisterUser", "/api/RegisterUser%00", "/api/Register%55ser", "/%", "/api/RegisterUser?" + strings.Repeat("a=b&", r.IntN(2000)),
		"http://x/api/RegisterUser", "http://[::1/api/RegisterUser", "*", "//", "/api/RegisterUſer", "/api/RegisterUser#x", "/api/DrainOutbox",
		"/admin/host/ping", "/api/Health",
	}[r.IntN(20)]
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", method, path, len(seed))
	return input{bytes: append([]byte(head), seed...)}
}

// pipeline sends several requests at once.
func pipeline(r *rand.Rand, seed []byte) input {
	var b bytes.Buffer
	for range 1 + r.IntN(4) {
		fmt.Fprintf(&b, "POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(seed), seed)
	}
	b.Write(request("", mutate(r, seed)))
	return input{bytes: b.Bytes(), end: half}
}

// headerFlood has too many headers.
func headerFlood(r *rand.Rand, seed []byte) input {
	headers := []string{
		strings.Repeat("X-Flood: y\r\n", r.IntN(10_000)), "X: " + strings.Repeat("z", r.IntN(120_000)) + "\r\n",
		"X-" + strings.Repeat("n", r.IntN(120_000)) + ": y\r\n",
	}[r.IntN(3)]
	return input{bytes: request(headers, seed)}
}
