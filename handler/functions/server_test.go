package functions_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/test/must"
)

// address is where a service listens in its network.
const address = "localhost:80"

// service is a running Serve, in a network of its own whose time is a synctest bubble's.
type service struct {
	*parts

	network kfake.VirtualNetwork
	client  http.Client
	stop    context.CancelFunc
	done    chan error
	log     bytes.Buffer
}

func start(t *testing.T, p *parts, drain time.Duration) *service {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &service{parts: serving(t, p), stop: stop, done: make(chan error, 1)}
	s.client.Transport = &http.Transport{DialContext: s.network.DialContext}
	l := must.Get[net.Listener](t)(s.network.Listen("tcp", address))
	go func() {
		s.done <- functions.Serve(ctx, l, s.Handler, slog.New(slog.NewTextHandler(&s.log, nil)), drain)
	}()
	t.Cleanup(func() {
		stop()
		s.client.CloseIdleConnections()
	})
	return s
}

// dial returns a connection that is closed at the end of the test.
func (s *service) dial(t *testing.T) net.Conn {
	t.Helper()
	c := must.Get[net.Conn](t)(s.network.DialContext(t.Context(), "tcp", address))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// end stops the service, which has to end well.
func (s *service) end(t *testing.T) {
	t.Helper()
	s.stop()
	if err := <-s.done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func (s *service) send(t *testing.T, path, body string) (answer, error) {
	t.Helper()
	url := "http://" + address + path
	res, err := s.client.Do(must.Get[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))))
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(got)}, err
}

// A request in progress at shutdown is answered, or cut off when the time is up. A later request on an existing
// connection is not accepted: its sender sees the connection close. An idle connection is nothing to wait for.
func TestServeDrains(t *testing.T) {
	const limit = 4 * time.Second
	each(t, map[string]time.Duration{
		"at once": 0, "in time": 3 * time.Second, "too long": 5 * time.Second,
	}, func(t *testing.T, takes time.Duration) {
		t.Helper()
		s := start(t, &parts{deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
			<-time.After(takes)
			return outcome(e), nil
		}}, limit)
		late := s.dial(t) // it was there before the end, and its request comes after it
		if _, err := io.WriteString(late, "POST /api/RegisterUser HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		group.Go(func() {
			got, err := s.send(t, register, simple)
			if (err == nil) != (takes < limit) {
				t.Errorf("the request in progress: %v", err)
			}
			if err == nil {
				got.wantStored(t)
			}
		})
		synctest.Wait()
		began := time.Now()
		s.stop()
		synctest.Wait()
		if _, err := s.network.DialContext(t.Context(), "tcp", address); err == nil {
			t.Error("the listener is open during the end")
		}
		if _, err := io.WriteString(late, "Host: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
			t.Fatal(err)
		}
		s.serve(post(t)).wantProblem(t, http.StatusServiceUnavailable, "busy") // as one that the server had begun to read
		if got, err := io.ReadAll(late); err != nil || len(got) > 0 {
			t.Errorf("the request that came late: %q, %v, want its connection closed", got, err)
		}
		err := <-s.done
		took := time.Since(began)
		switch {
		case takes < limit && (err != nil || took < takes || took > limit || s.log.Len() > 0):
			t.Errorf("Serve: %v after %v, the request took %v", err, took, takes)
		case takes > limit && (!errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "drain: ") || took != limit):
			t.Errorf("Serve: %v after %v, want that it drained %v in vain", err, took, limit)
		}
		group.Wait()
		<-time.After(takes) // a delivery that was given up ends, too
	})
}

func TestServeFailsWithItsListener(t *testing.T) {
	t.Parallel()
	l := must.Get[net.Listener](t)(new(kfake.VirtualNetwork).Listen("tcp", address))
	_ = l.Close()
	err := functions.Serve(t.Context(), l, serving(t, &parts{}).Handler, slog.New(slog.DiscardHandler), time.Second)
	if err == nil || !strings.HasPrefix(err.Error(), "serve: listener closed") {
		t.Errorf("Serve: %v, want that the listener is closed", err)
	}
}

// A caller that sends nothing, or too little, is disconnected to free its resources for others.
func TestServeLetsSlowCallersGo(t *testing.T) {
	const head = "POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\n"
	type row struct {
		sent string
		took time.Duration
		want string // the answer's beginning; "" none
	}
	each(t, map[string]row{
		"in the header":        {head, 5 * time.Second, ""},
		"in the body":          {head + "Content-Length: 10\r\n\r\n{", 10 * time.Second, "HTTP/1.1 408 "},
		"in a chunk":           {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"u", 10 * time.Second, "HTTP/1.1 408 "},
		"in an unwanted body":  {strings.Replace(head, "POST", "PUT", 1) + "Content-Length: 10\r\n\r\n{", 10 * time.Second, "HTTP/1.1 405 "},
		"after an answer":      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 150 * time.Second, "HTTP/1.1 200 "},
		"in the next header":   {"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n", 5 * time.Second, "HTTP/1.1 200 "},
		"with a header's size": {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 80<<10), time.Second, "HTTP/1.1 431 "},
	}, func(t *testing.T, c row) {
		t.Helper()
		s := start(t, &parts{}, time.Second)
		conn := s.dial(t)
		began := time.Now()
		go func() { _, _ = io.WriteString(conn, c.sent) }() // a pipe holds nothing: it is read as the server reads
		got, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(got), c.want) || c.want == "" && len(got) > 0 {
			t.Errorf("answer %q, error %v, want %q", got, err, c.want)
		}
		if took := time.Since(began).Round(time.Second); took != c.took {
			t.Errorf("let go after %v, want %v", took, c.took)
		}
		s.end(t)
	})
}

// No answer begins before the end of the body: the Functions host sends the whole body before it reads the answer, and
// replaces an earlier answer by an empty 500. A sender with Expect: 100-continue is not asked for a body that is not
// wanted.
func TestAnswersComeAfterTheBody(t *testing.T) {
	const size = 1 << 20 // more than net/http reads by itself
	type row struct {
		line, header  string
		length        int
		ends, waiting bool
		status        int
	}
	each(t, map[string]row{
		"wrong media type":         {"POST " + register, "Content-Type: image/png\r\n", size, false, false, http.StatusUnsupportedMediaType},
		"wrong method":             {"PUT " + register, "", size, false, false, http.StatusMethodNotAllowed},
		"no such function":         {"POST /api/Nothing", "", size, false, false, http.StatusNotFound},
		"shutting down":            {"POST " + register, "", size, true, false, http.StatusServiceUnavailable},
		"announced as too large":   {"POST " + register, "", functions.MaxBody + 1, false, false, http.StatusRequestEntityTooLarge},
		"no JSON from the begin":   {"POST " + register, "", size, false, false, http.StatusBadRequest},
		"a body that nobody reads": {"GET /", "", size, false, false, http.StatusOK},
		"not sent yet": {
			"POST " + register, "Content-Type: image/png\r\nExpect: 100-continue\r\n", 1000, false, true, http.StatusUnsupportedMediaType,
		}, // net/http would wait for so few
	}, func(t *testing.T, c row) {
		t.Helper()
		s := start(t, &parts{}, time.Second)
		if c.ends {
			s.ShutDown()
		}
		conn := s.dial(t)
		answers := bufio.NewReader(conn)
		for range 2 { // the connection can be used for another request
			body := strings.Repeat("x", c.length)
			if c.waiting {
				body = ""
			}
			began := time.Now()
			_, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", c.line, c.header, c.length, body)
			if err != nil {
				t.Fatalf("the server does not read all of the body: %v", err)
			}
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != c.status || res.Close != c.waiting {
				t.Errorf("answer %d, error %v, the connection is closed: %t, want %d", res.StatusCode, err, res.Close, c.status)
			}
			if waited := time.Since(began); waited > 0 {
				t.Errorf("the answer came after %v, want it at once", waited)
			}
			_ = res.Body.Close()
			if c.waiting {
				return // the body may come all the same
			}
		}
		s.end(t)
	})
}

// Messages of the server itself become warnings of the program, on one line.
func TestServeLogs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &parts{
			want:     "panicked",
			deliver:  func(context.Context, registration.Event) (relay.Outcome, error) { panic(marker) },
			panicked: func(context.Context, any, []byte) { panic("the observer fails") },
		}, time.Second)
		if got, err := s.send(t, register, simple); err == nil {
			t.Errorf("answer %d %s", got.status, got.body)
		}
		s.end(t)
		if got := s.log.String(); !strings.Contains(got, "level=WARN") || strings.Count(got, "\n") != 1 {
			t.Errorf("log: %q, want one warning", got)
		}
	})
}
