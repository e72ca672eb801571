package functions_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userrelay/handler/functions"
)

// No answer begins before the end of the body. The Functions host sends the whole body before it reads the answer, and
// replaces an earlier answer by an empty 500.
func TestAnswersComeAfterTheBody(t *testing.T) {
	t.Parallel()
	const size = 8 << 20 // more than any buffer on the way holds
	body := strings.Repeat(" ", size)
	for name, c := range map[string]struct {
		method, path, headers string
		length                int
		stopping              bool
		status                int
	}{
		"wrong media type":         {"POST", register, "Content-Type: image/png\r\n", size, false, http.StatusUnsupportedMediaType},
		"packed":                   {"POST", register, "Content-Encoding: gzip\r\n", size, false, http.StatusUnsupportedMediaType},
		"wrong method":             {"PUT", register, "", size, false, http.StatusMethodNotAllowed},
		"no such function":         {"POST", "/api/Nothing", "", size, false, http.StatusNotFound},
		"shutting down":            {"POST", register, "", size, true, http.StatusServiceUnavailable},
		"announced as too large":   {"POST", register, "", functions.MaxBody + 1, false, http.StatusRequestEntityTooLarge},
		"no JSON from the begin":   {"POST", register, "", size, false, http.StatusBadRequest},
		"a body that nobody reads": {"GET", "/", "", size, false, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := (&parts{}).handler(t)
			if c.stopping {
				h.ShutDown()
			}
			server := httptest.NewServer(h)
			defer server.Close()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			sent := "x" + body + strings.Repeat(" ", c.length-size)
			sent = sent[:c.length]
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			answers := bufio.NewReader(conn)
			for range 2 { // the connection can be used for another request
				if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", c.method, c.path, c.headers, len(sent), sent); err != nil {
					t.Fatalf("the server does not read all of the body: %v", err)
				}
				res, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != c.status {
					t.Errorf("answer %d, error %v, want %d", res.StatusCode, err, c.status)
				}
				_ = res.Body.Close()
			}
		})
	}
}

// A sender with Expect: 100-continue is not asked for a body that is not wanted.
func TestBodyThatIsNotSentYetIsNotAskedFor(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer((&parts{}).handler(t))
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "POST "+register+" HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUnsupportedMediaType || !res.Close {
		t.Errorf("answer %d, the connection is closed: %t, want 415 and that it is: the body may come all the same", res.StatusCode, res.Close)
	}
}

// An endless body is not read endlessly.
func TestBodyWithoutAnEnd(t *testing.T) {
	t.Parallel()
	read := int64(0)
	r := upload(t, readFunc(func(b []byte) (int, error) {
		read += int64(len(b))
		return len(b), nil
	}), -1)
	r.Header.Set("Content-Type", "image/png")
	got := serve(t, (&parts{}).handler(t), r)
	got.wantProblem(t, http.StatusUnsupportedMediaType, "unsupported-media-type")
	if got.header.Get("Connection") != "close" || read < 100<<20 || read > 101<<20 {
		t.Errorf("%d bytes were read, Connection %q", read, got.header.Get("Connection"))
	}
}
