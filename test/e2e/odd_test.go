package e2e_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"userrelay/test/must"
	"userrelay/test/wait"
)

// TestOddRequests sends odd HTTP, sound and broken: the handler answers each, or closes the connection, and keeps
// running. The topic has exactly the records of the answers 200. (FuzzDecode and test/contract have odd JSON.)
func TestOddRequests(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	const (
		body    = `{"userId":"a"}`
		post    = "POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		good    = post + "Content-Length: 14\r\n\r\n" + body
		chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
		chunk   = chunked + "e\r\n" + body + "\r\n"
	)
	with := func(sound, odd string) string { return strings.Replace(good, sound, odd, 1) }
	and := func(header string) string { return with("Host: x", "Host: x\r\n"+header) }
	records, again := 0, 0
	for want, requests := range map[string][]string{
		"200": {
			good, with("HTTP/1.1", "HTTP/1.0"), with("/api/RegisterUser", "http://x/API/registeruser/?"+strings.Repeat("a=b&", 2000)),
			and("Expect: 100-continue"), and("Upgrade: h2c\r\nConnection: Upgrade"), and("Idempotency-Key: a\r\nIdempotency-Key: b"),
			and("Traceparent: x\r\nTraceparent: 00-zz\r\nTracestate: " + strings.Repeat("a=1,", 400)), and("X-Azure-Functions-InvocationId: , ,"),
			chunk + "0\r\n\r\n", chunk + "0\r\nX-Trailer: a\r\n\r\n", chunk + "0\r\nContent-Length: 5\r\n\r\n",
		},
		"200 200 200": {strings.Repeat(good, 3)},
		"400": {
			with(" HTTP/1.1", ""), with("POST", "POST\x00"), with("/api/RegisterUser", "/%"), with("Host: x\r\n", ""), and("Host: y"),
			and("Bad Name: x"), and("No-Colon"), and(" folded"), and("X-Azure-Functions-InvocationId: , ,\x01"), and("Idempotency-Key: \xe9"),
			and("Content-Length: 5"), with(": 14", ": -1"), with(": 14", ": 1e3"), with(": 14", ": 15"), good[:len(good)-5], post, chunk,
			strings.Replace(chunk, "e\r\n{", "e;x="+strings.Repeat("y", 5000)+"\r\n{", 1) + "0\r\n\r\n", chunked + "f\r\n" + body + "\r\n0\r\n\r\n",
			chunked + "-1\r\n" + body + "\r\n0\r\n\r\n", chunked + strings.Repeat("f", 18) + "\r\n" + body + "\r\n0\r\n\r\n",
			"\r\n\r\n", "GET /\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x00\x00\x00\x14\x00\x12\x00\x00",
		},
		"400 400": {with(": 14", ": 0")},
		"404": {
			with("/api", "//api"), with("/RegisterUser", "%2FRegisterUser"), with("/api/RegisterUser", "*"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		},
		"405": {with("POST", "post"), with("POST", "PUT"), "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"},
		"415": {and("Content-Encoding: gzip"), and("Content-Type: text/html"), with("application/json", ";")},
		"417": {and("Expect: the-unexpected")},
		"431": {
			and("X: " + strings.Repeat("z", 1_200_000)), and(strings.Repeat("X-Flood: y\r\n", 100_000) + "X: y"), "POST /" + strings.Repeat("a", 120_000),
		},
		"501": {and("Transfer-Encoding: gzip")},
		"505": {with("HTTP/1.1", "HTTP/9.9")},
		"":    {""},
	} {
		for _, request := range requests {
			var got string
			wait.For(t, "an answer that is not 503, for which this machine is too busy", func() bool {
				got = h.exchange(t, request)
				again += strings.Count(got, "503")
				return !strings.Contains(got, "503")
			})
			if got != want {
				t.Errorf("%.200q: got %q, want %q", request, got, want)
			}
			records += strings.Count(got, "200")
		}
	}
	if got := len(kafka.records(t)); got < records || got > records+again {
		t.Errorf("got %d records of %d answers 200", got, records)
	}
	if !h.running() {
		t.Fatal("the handler has ended")
	}
}

// exchange sends a request on a new connection, closes its half, and returns the status of each answer, until the handler
// closes the connection in any way.
func (h *handlerRun) exchange(t *testing.T, request string) string {
	t.Helper()
	conn := must.Get[net.Conn](t)(new(net.Dialer).DialContext(t.Context(), "tcp4", h.address))
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(wait.Patience)); err != nil {
		t.Fatal(err)
	}
	go func() { // concurrently with reading, because the answer may arrive before everything is sent
		_, _ = io.WriteString(conn, request) // the handler may close the connection
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	var statuses []string
	for r := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return strings.Join(statuses, " ")
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err == nil && res.StatusCode >= http.StatusOK {
			statuses = append(statuses, strconv.Itoa(res.StatusCode))
		}
	}
}
