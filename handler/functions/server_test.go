package functions_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// pipes is a listener without a network, so that a synctest bubble controls the time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// service is a running Serve.
type service struct {
	*pipes
	handler *functions.Handler
	stop    context.CancelFunc
	done    chan error
	log     *bytes.Buffer
}

func start(t *testing.T, p *parts, drain time.Duration) *service {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &service{pipes: newPipes(), handler: p.handler(t), stop: stop, done: make(chan error, 1), log: &bytes.Buffer{}}
	go func() { s.done <- functions.Serve(ctx, s, s.handler, slog.New(slog.NewTextHandler(s.log, nil)), drain) }()
	t.Cleanup(stop)
	return s
}

// client returns a client of the service and a function that closes its connections.
func (s *service) client() (c *http.Client, stop func()) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return s.dial() }}
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

func send(t *testing.T, c *http.Client) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://handler"+register, post(t).Body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}, err
}

func TestServe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &parts{}, time.Second)
		c, leave := s.client()
		defer leave()
		for range 3 {
			got, err := send(t, c)
			if err != nil {
				t.Fatal(err)
			}
			got.wantStored(t, "e-1")
		}
		began := time.Now()
		s.stop()
		if err := <-s.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(began); took >= time.Second {
			t.Errorf("the end took %v: an idle connection is nothing to wait for", took)
		}
		if _, err := s.dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial after the end: %v, want a closed listener", err)
		}
		if s.log.Len() > 0 {
			t.Errorf("log: %s", s.log)
		}
	})
}

// A request in progress at shutdown is answered. A later request on an existing connection is not accepted: its sender
// sees the connection close.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &parts{deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
			<-time.After(3 * time.Second)
			return outcome(e), nil
		}}
		s := start(t, p, 4*time.Second)
		c, leave := s.client()
		defer leave()
		late, err := s.dial() // a connection that was there before the end, and whose request comes after it
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = late.Close() }()
		if _, err := io.WriteString(late, "POST /api/RegisterUser HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			got, err := send(t, c)
			if err != nil {
				t.Errorf("the request in progress: %v", err)
				return
			}
			got.wantStored(t, "e-1")
		}()
		synctest.Wait()
		began := time.Now()
		s.stop()
		synctest.Wait()
		select {
		case err := <-s.done:
			t.Fatalf("Serve ended, %v, before the request in progress", err)
		default:
		}
		if _, err := s.dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial during the end: %v, want a closed listener", err)
		}
		if _, err := io.WriteString(late, "Host: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
			t.Fatal(err)
		}
		serve(t, s.handler, post(t)).wantProblem(t, http.StatusServiceUnavailable, "busy") // as one that the server had begun to read
		if got, err := io.ReadAll(late); err != nil || len(got) > 0 {
			t.Errorf("the request that came late: %q, %v, want its connection closed", got, err)
		}
		<-answered
		if err := <-s.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("the end took %v, the request 3 s", took)
		}
	})
}

func TestServeGivesUpDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := &parts{deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
			<-release
			return outcome(e), nil
		}}
		s := start(t, p, 4*time.Second)
		c, leave := s.client()
		defer leave()
		cut := make(chan error, 1)
		go func() {
			_, err := send(t, c)
			cut <- err
		}()
		synctest.Wait()
		began := time.Now()
		s.stop()
		err := <-s.done
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("gave up after %v, want 4 s", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "drain: ") {
			t.Errorf("Serve: %v, want that it drained in vain", err)
		}
		if err := <-cut; err == nil {
			t.Error("the request that was given up has an answer")
		}
		close(release)
	})
}

func TestServeFailsWithItsListener(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	err = functions.Serve(t.Context(), l, (&parts{}).handler(t), slog.New(slog.DiscardHandler), time.Second)
	if !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "serve: ") {
		t.Errorf("Serve: %v, want that the listener is closed", err)
	}
}

// A caller that sends nothing, or too little, is disconnected to free its resources for others.
func TestServeLetsSlowCallersGo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sent string
		took time.Duration
		want string // the answer's beginning; "" none
	}{
		"in the header":        {"POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\n", 5 * time.Second, ""},
		"in the body":          {"POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", 10 * time.Second, "HTTP/1.1 408 "},
		"in a chunk":           {"POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"u", 10 * time.Second, "HTTP/1.1 408 "},
		"in an unwanted body":  {"PUT /api/RegisterUser HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", 10 * time.Second, "HTTP/1.1 405 "},
		"after an answer":      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 150 * time.Second, "HTTP/1.1 200 "},
		"in the next header":   {"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n", 5 * time.Second, "HTTP/1.1 200 "},
		"with a header's size": {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 80<<10), time.Second, "HTTP/1.1 431 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, &parts{}, time.Second)
				conn, err := s.dial()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				began := time.Now()
				go func() { _, _ = io.WriteString(conn, c.sent) }() // a pipe holds nothing: it is read as the server reads
				got, err := io.ReadAll(conn)
				if err != nil || !strings.HasPrefix(string(got), c.want) || c.want == "" && len(got) > 0 {
					t.Errorf("answer %q, error %v, want %q", got, err, c.want)
				}
				if took := time.Since(began).Round(time.Second); took != c.took {
					t.Errorf("let go after %v, want %v", took, c.took)
				}
				s.stop()
				if err := <-s.done; err != nil {
					t.Errorf("Serve: %v", err)
				}
			})
		})
	}
}

// Messages of the server itself become warnings of the program, on one line.
func TestServeLogs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &parts{
			deliver:  func(context.Context, registration.Event) (relay.Outcome, error) { panic(marker) },
			panicked: func(context.Context, any, []byte) { panic("the observer fails") },
		}
		s := start(t, p, time.Second)
		c, leave := s.client()
		defer leave()
		if got, err := send(t, c); err == nil {
			t.Errorf("answer %d %s", got.status, got.body)
		}
		s.stop()
		if err := <-s.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if got := s.log.String(); !strings.Contains(got, "level=WARN") || strings.Count(got, "\n") != 1 {
			t.Errorf("log: %q, want one warning", got)
		}
	})
}
