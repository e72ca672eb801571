package functions_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/test/wait"
)

// sized returns a registration of n bytes with the user id auth0|1 and the event id e-1, whose profile fills it.
func sized(n int) []byte {
	const head, tail = `{"userId":"auth0|1","eventId":"e-1","user":{"pad":"`, `"}}`
	return []byte(head + strings.Repeat("a", n-len(head)-len(tail)) + tail)
}

// blank is a registration of n bytes that is quick to decode: it is filled with white space.
func blank(n int) []byte {
	const head, tail = `{"userId":"auth0|1","eventId":"e-1"`, `}`
	return []byte(head + strings.Repeat(" ", n-len(head)-len(tail)) + tail)
}

// upload is a request with a body of an announced or unknown (-1) length.
func upload(t *testing.T, body io.Reader, length int64) *http.Request {
	t.Helper()
	r := request(t, http.MethodPost, register, body)
	r.ContentLength = length
	return r
}

// The body is decoded completely, with or without an announced length, and in pieces of any size.
func TestBodyIsReadWhole(t *testing.T) {
	t.Parallel()
	readers := map[string]func(io.Reader) io.Reader{
		"at once":              func(r io.Reader) io.Reader { return r },
		"a byte at a time":     iotest.OneByteReader,
		"half at a time":       iotest.HalfReader,
		"with its end":         iotest.DataErrReader,
		"nothing now and then": hesitant,
	}
	for name, reader := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var profile []byte
			p := &parts{deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
				profile = e.Profile
				return outcome(e), nil
			}}
			h := p.handler(t)
			for _, n := range []int{60, 511, 512, 513, 1023, 1024, 1025, 16<<10 - 1, 16 << 10, 16<<10 + 1, 32 << 10, 40_000} {
				for _, length := range []int64{int64(n), -1} {
					body := sized(n)
					serve(t, h, upload(t, reader(bytes.NewReader(body)), length)).wantStored(t, "e-1")
					if want := body[len(`{"userId":"auth0|1","eventId":"e-1","user":`) : n-1]; !bytes.Equal(profile, want) {
						t.Fatalf("%d bytes, length %d: the profile has %d bytes, want %d", n, length, len(profile), len(want))
					}
				}
			}
		})
	}
}

// hesitant is a reader that returns 0 bytes and no error at every second read.
func hesitant(r io.Reader) io.Reader {
	idle := false
	return readFunc(func(b []byte) (int, error) {
		if idle = !idle; idle {
			return 0, nil
		}
		return r.Read(b)
	})
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	const limit = 16 << 20
	if functions.MaxBody != limit {
		t.Fatalf("MaxBody = %d", functions.MaxBody)
	}
	for name, c := range map[string]struct {
		body   func(t *testing.T) io.Reader
		length int64
		ok     bool
	}{
		"all of it":                        {func(*testing.T) io.Reader { return bytes.NewReader(blank(limit)) }, limit, true},
		"all of it, not told":              {func(*testing.T) io.Reader { return bytes.NewReader(blank(limit)) }, -1, true},
		"one byte more, told":              {unwanted, limit + 1, false},
		"much more, told":                  {unwanted, 1 << 60, false},
		"one byte more":                    {func(*testing.T) io.Reader { return bytes.NewReader(blank(limit + 1)) }, -1, false},
		"as much as the host lets through": {func(*testing.T) io.Reader { return io.LimitReader(zeros{}, 100<<20) }, 100 << 20, false},
		"without an end": {func(*testing.T) io.Reader {
			return io.MultiReader(bytes.NewReader(blank(limit)), zeros{})
		}, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := serve(t, (&parts{}).handler(t), upload(t, c.body(t), c.length))
			if c.ok {
				got.wantStored(t, "e-1")
				return
			}
			p := got.wantProblem(t, http.StatusRequestEntityTooLarge, "too-large")
			if want := `body: must be at most 16 MiB. Send the user id alone: {"userId": "…"}.`; p.Detail != want {
				t.Errorf("detail = %q, want %q", p.Detail, want)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestBodyDoesNotArrive(t *testing.T) {
	t.Parallel()
	const (
		late   = "body: did not arrive in time. Send the registration again."
		broken = "body: arrived incomplete."
	)
	for name, c := range map[string]struct {
		err    error
		status int
		kind   string
		detail string
	}{
		"in time":          {os.ErrDeadlineExceeded, http.StatusRequestTimeout, "timeout", late},
		"in time, wrapped": {&net.OpError{Op: "read", Err: fmt.Errorf("%s: %w", marker, os.ErrDeadlineExceeded)}, http.StatusRequestTimeout, "timeout", late},
		"whole":            {io.ErrUnexpectedEOF, http.StatusBadRequest, "incomplete", broken},
		"at all":           {errors.New("reset by " + marker), http.StatusBadRequest, "incomplete", broken},
	} {
		for _, sent := range []string{"", `{"userId":"auth0|1"`, `{"userId":"auth0|1"}`, `{"userId":"auth0|1","user":{"a":[` + strings.Repeat("7,", 50_000)} {
			t.Run(fmt.Sprintf("%s after %d bytes", name, len(sent)), func(t *testing.T) {
				t.Parallel()
				got := serve(t, (&parts{}).handler(t), upload(t, io.MultiReader(strings.NewReader(sent), iotest.ErrReader(c.err)), 100))
				if p := got.wantProblem(t, c.status, c.kind); p.Detail != c.detail {
					t.Errorf("detail = %q, want %q", p.Detail, c.detail)
				}
				if got := got.header.Get("Connection"); got != "close" {
					t.Errorf("Connection = %q, want close: the rest of the body may come on it", got)
				}
			})
		}
	}
}

// A complete and an incomplete body over a real connection. The tests of Serve have one that arrives too slowly.
func TestBodyOverAConnection(t *testing.T) {
	t.Parallel()
	const head = "POST /api/RegisterUser HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		request string
		half    bool // the sender closes its side
		want    string
	}{
		"cut short":            {head + "Content-Length: 100\r\n\r\n{\"userId\":", true, "HTTP/1.1 400 "},
		"cut short, in chunks": {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"use", true, "HTTP/1.1 400 "},
		"no chunks":            {head + "Transfer-Encoding: chunked\r\n\r\n{}\r\n", true, "HTTP/1.1 400 "},
		"in chunks":            {head + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"use\r\n11\r\nrId\":\"auth0|ąx\"}\r\n0\r\n\r\n", false, "HTTP/1.1 200 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer((&parts{}).handler(t))
			defer server.Close()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, c.request); err != nil {
				t.Fatal(err)
			}
			if tcp, ok := conn.(*net.TCPConn); ok && c.half {
				if err := tcp.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			if err := conn.SetReadDeadline(time.Now().Add(wait.Patience)); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn) // to the end: the server closes the connection
			if err != nil || !strings.HasPrefix(string(got), c.want) || !strings.Contains(string(got), "\r\nConnection: close\r\n") {
				t.Errorf("answer %q, error %v, want %s and the connection closed", got, err, c.want)
			}
		})
	}
}
