package e2e_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seeds returns valid bodies: those of the handler's tests, and some more.
func seeds(t *testing.T) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(moduleRoot, "handler", "registration", "testdata", "requests", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := [][]byte{
		[]byte(`{"userId":"auth0|1"}`), []byte(profile), []byte(`{"userId":"a","eventId":"e","tenant":"t","user":{"created_at":"2026-11-21T19:00:00Z"}}`),
		[]byte(`{"specversion":"1.0","type":"user.created","id":"e","source":"s","time":"2026-11-21T19:00:00Z","a0purpose":"test","data":{"object":` + profile + `}}`),
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, body)
	}
	return all
}

// maker makes an input.
type maker struct {
	name   string
	weight int
	make   func(r *rand.Rand, seed []byte) input
}

func makers() []maker {
	return []maker{
		{"sound", 10, func(_ *rand.Rand, seed []byte) input { return input{bytes: request("", seed)} }},
		{"mutated", 40, func(r *rand.Rand, seed []byte) input { return input{bytes: request("", mutate(r, seed))} }},
		{"noise", 5, func(r *rand.Rand, _ []byte) input { return input{bytes: request("", noise(r, 2000))} }},
		{"number", 3, func(r *rand.Rand, _ []byte) input { return input{bytes: request("", hugeNumber(r))} }},
		{"nested", 3, func(r *rand.Rand, _ []byte) input { return input{bytes: request("", nested(r, 1+r.IntN(3_000)))} }},
		{"packed", 3, packed},
		{"chunked", 8, chunked},
		{"repeated header", 8, repeatedHeader},
		{"Idempotency-Key", 6, idempotencyKey},
		{"half-closed", 6, func(r *rand.Rand, seed []byte) input {
			all := request("", seed)
			return input{bytes: all[:r.IntN(len(all)+1)], end: half}
		}},
		{"broken off", 3, func(r *rand.Rand, seed []byte) input {
			all := request("", seed)
			return input{bytes: all[:r.IntN(len(all))], end: leave}
		}},
		{"garbage", 6, garbage},
		{"target", 6, target},
		{"pipeline", 3, pipeline},
		{"header flood", 1, headerFlood},
	}
}

// makeInput makes input n. Only some numbers have inputs that are too large to be sent often.
func makeInput(r *rand.Rand, number int, seeds [][]byte) (in input) {
	seed := seeds[r.IntN(len(seeds))]
	switch number {
	case 1000, 2000, 3000:
		return input{kind: "100,000 levels", bytes: request("", nested(r, 100_000))}
	case 4000:
		return input{kind: "largest body", bytes: request("", append([]byte(`{"userId":"a"}`), bytes.Repeat([]byte(" "), maxBody-14)...))}
	case 5000, 6000:
		return input{kind: "body too large", bytes: request("", bytes.Repeat([]byte("x"), maxBody+1))}
	case 7000:
		return input{kind: "chunks too large", bytes: []byte(fmt.Sprintf("POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", maxBody+1, strings.Repeat("x", maxBody+1)))}
	}
	all, sum := makers(), 0
	for _, m := range all {
		sum += m.weight
	}
	draw := r.IntN(sum)
	for _, m := range all {
		if draw -= m.weight; draw < 0 {
			in = m.make(r, seed)
			in.kind = m.name
			break
		}
	}
	return in
}

// request is a whole request, after which the connection is closed. headers are whole lines.
func request(headers string, body []byte) []byte {
	head := fmt.Sprintf("POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n", len(body), headers)
	return append([]byte(head), body...)
}

// mutate changes a body in a few places.
func mutate(r *rand.Rand, body []byte) []byte {
	tokens := []string{
		"", "{", "}", "[", "]", ",", ":", `"`, `\`, `\u0000`, `\ud800`, `\udfff\ud800`, "null", "true", "-0", "1e999", "\x00", "\xff", "\xc0\xaf",
		"\xed\xa0\x80", "\u2028", "\ufeff", "/**/", "NaN", `"userId":"b",`, `"user_id":"b",`, `"eventId":"` + strings.Repeat("e", 129) + `",`,
		`"user":{},`, `"type":"user.deleted",`, `"specversion":1,`, `"data":null,`, `{"userId":"c"}`, "🎉", strings.Repeat("a", 1500),
	}
	b := bytes.Clone(body)
	for range 1 + r.IntN(4) {
		if len(b) == 0 {
			break
		}
		from := r.IntN(len(b))
		to := from + r.IntN(min(len(b)-from, 40)+1)
		switch r.IntN(6) {
		case 0:
			b[from] ^= 1 << r.IntN(8)
		case 1:
			b = b[:from]
		case 2:
			b = append(bytes.Clone(b[:from]), b[to:]...)
		case 3:
			b = bytes.Join([][]byte{b[:to], b[from:]}, nil) // a part twice
		default:
			b = bytes.Join([][]byte{b[:from], []byte(tokens[r.IntN(len(tokens))]), b[from:]}, nil)
		}
	}
	return b
}

func noise(r *rand.Rand, most int) []byte {
	b := make([]byte, r.IntN(most))
	for i := range b {
		b[i] = byte(r.UintN(256))
	}
	return b
}

func hugeNumber(r *rand.Rand) []byte {
	number := []string{
		strings.Repeat("9", 1+r.IntN(20_000)), "1e" + strings.Repeat("9", 1+r.IntN(50)), "-0." + strings.Repeat("0", r.IntN(10_000)) + "1",
		"1e-999999999", "18446744073709551616", "-", "0x1", "01",
	}[r.IntN(8)]
	return []byte(fmt.Sprintf([]string{
		`{"userId":%s}`, `{"userId":"a","user":{"n":%s}}`, `{"userId":"a","x":%s}`, `{"user_id":"a","logins_count":%s}`, `%s`,
		`{"specversion":%[1]s,"type":"user.created","time":%[1]s}`,
	}[r.IntN(6)], number))
}

func nested(r *rand.Rand, levels int) []byte {
	opening, closing := "[", "]"
	if r.IntN(2) == 0 {
		opening, closing = `{"a":`, "}"
	}
	deep := strings.Repeat(opening, levels) + "1" + strings.Repeat(closing, levels-r.IntN(2))
	return []byte(fmt.Sprintf([]string{
		`{"userId":"a","x":%s}`, `{"userId":"a","user":{"x":%s}}`, `{"userId":%s}`, `%s`, `{"specversion":"1.0","type":"user.created","data":%s}`,
	}[r.IntN(5)], deep))
}

func packed(r *rand.Rand, seed []byte) input {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(seed) // neither fails on a buffer
	_ = w.Close()
	header := []string{"Content-Encoding: gzip\r\n", "", "Content-Encoding: identity\r\n", "Content-Encoding: br, gzip\r\n", "Content-Encoding: \r\n"}[r.IntN(5)]
	return input{bytes: request(header, b.Bytes())}
}
