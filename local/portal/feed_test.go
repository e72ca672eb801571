package portal_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/local/portal"
	"userrelay/test/wait"
)

func TestEventsTellWhatHasChanged(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{Broker: &stuck{}})
	s := r.stream(t)
	if first, ok := s.next(t); !ok || first != (counts{}) {
		t.Fatalf("first event %+v, want no changes", first)
	}
	r.track(t, message(0, "op", "m", ""))
	s.until(t, "items", func(c counts) bool { return c == counts{Items: 1} })
	r.send(t, http.MethodPut, "/broker", `{"running":false}`)
	s.until(t, "the broker", func(c counts) bool { return c == counts{Items: 1, State: 1} })
	r.SetFunction(portal.Function{})
	s.until(t, "the function", func(c counts) bool { return c == counts{Items: 1, State: 2} })

	r.send(t, http.MethodPost, "/v2.1/track", "[]") // changes nothing
	other := r.stream(t)
	if first, _ := other.next(t); first != (counts{Items: 1, State: 2}) {
		t.Errorf("who comes later sees %+v", first)
	}
}

func TestManyChangesMakeFewEvents(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	s := r.stream(t)
	var changing sync.WaitGroup
	const changes = 2000
	changing.Go(func() {
		for range changes {
			r.SetFunction(portal.Function{})
		}
	})
	events := 0
	s.until(t, "all changes", func(c counts) bool { events++; return c.State == changes })
	changing.Wait()
	if events > changes/10 {
		t.Errorf("%d events for %d changes", events, changes)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	var last *stream
	for range 16 {
		last = r.stream(t)
	}
	res := r.send(t, http.MethodGet, "/events", "")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("the 17th: status %d, want 503 with Retry-After", res.StatusCode)
	}
	if err := last.body.Close(); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "a place that somebody left", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return errors.Join(res.Body.Close()) == nil && res.StatusCode == http.StatusOK
	})
}

func TestCloseEndsStreams(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	s := r.stream(t)
	s.next(t)
	r.Close()
	for ok := true; ok; {
		_, ok = s.next(t)
	}
}

// A client that reads nothing takes only the memory of its connection, and not for long.
func TestSlowClientsAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, err := portal.Start(t.Context(), portal.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		done := make(chan struct{})
		handler := p.Handler()
		client, served := net.Pipe() // holds nothing: a write waits until it is read
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			handler.ServeHTTP(w, r)
		})}
		listener := &oneConnection{connection: served, closed: make(chan struct{})}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) })
		defer serving.Wait()
		defer func() { _ = server.Close() }()

		if _, err := client.Write([]byte("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReaderSize(client, 16).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Fatalf("%q, %v", line, err)
		}
		began := time.Now()
		<-done // reads no more
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("dropped after %v", d)
		}
	})
}

// oneConnection is a listener that accepts one connection.
type oneConnection struct {
	connection net.Conn
	once       sync.Once
	closed     chan struct{}
}

func (l *oneConnection) Accept() (c net.Conn, err error) {
	l.once.Do(func() { c = l.connection })
	if c == nil {
		<-l.closed
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *oneConnection) Close() error   { close(l.closed); return nil }
func (l *oneConnection) Addr() net.Addr { return l.connection.LocalAddr() }
