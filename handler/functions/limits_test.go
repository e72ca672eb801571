package functions_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// held is a handler whose deliveries block.
type held struct {
	*functions.Handler
	entered chan struct{} // a delivery began
	release func()        // lets all go on
	answers chan answer
	group   sync.WaitGroup
}

func hold(t *testing.T) *held {
	t.Helper()
	gate := make(chan struct{})
	h := &held{entered: make(chan struct{}, 4096), release: sync.OnceFunc(func() { close(gate) }), answers: make(chan answer, 4096)}
	p := &parts{deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
		h.entered <- struct{}{}
		<-gate
		return outcome(e), nil
	}}
	h.Handler = p.handler(t)
	t.Cleanup(func() { h.release(); h.group.Wait() })
	return h
}

// fill starts n registrations and returns when all of them are in progress.
func (h *held) fill(t *testing.T, n int) {
	t.Helper()
	for range n {
		r := post(t)
		h.group.Go(func() { h.answers <- serve(t, h, r) })
	}
	for range n {
		<-h.entered
	}
}

// wantAll unblocks all and checks that all of them are stored.
func (h *held) wantAll(t *testing.T, n int) {
	t.Helper()
	h.release()
	for range n {
		a := <-h.answers
		a.wantStored(t, "e-1")
	}
}

func TestRequestsInWorkAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 2000
	h := hold(t)
	h.fill(t, limit)
	for range limit + 10 { // a place that a refused request kept would let later ones in, or none at the end
		got := serve(t, h, request(t, http.MethodPost, register, unwanted(t)))
		p := got.wantProblem(t, http.StatusServiceUnavailable, "busy")
		if got.header.Get("Retry-After") != "1" || p.Detail != "The function is busy or shutting down. Send the registration again." {
			t.Fatalf("Retry-After %q, detail %q", got.header.Get("Retry-After"), p.Detail)
		}
	}
	if got := serve(t, h, request(t, http.MethodGet, "/", nil)); got.status != http.StatusOK {
		t.Errorf("the host's probe: %d, want 200 whatever is in progress", got.status)
	}
	h.wantAll(t, limit)
	serve(t, h, post(t)).wantStored(t, "e-1")
}

// The limit counts the bytes in memory, not those sent: for a wanted profile at most the size of a record, for
// everything else nearly none.
func TestBytesInWorkAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begin       string
		wanted      bool
		least, most int // bodies in progress
	}{
		"profiles that are wanted": {`{"user":{"a":"` + strings.Repeat("p", registration.MaxRecord-200), true, 32, 64},
		"all else":                 {`{"userId":"auth0|1","user":{"a":"` + strings.Repeat("x", 1<<20), false, 66, 66},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &parts{t: t}
			h := functions.New(functions.Config{Decoder: registration.Decoder{Profile: c.wanted}, Deliver: p, Drain: p, Kafka: p, Observer: p})
			var group sync.WaitGroup
			arrived, stop := make(chan struct{}), make(chan struct{})
			inWork := 0
			for busy := false; !busy && inWork < c.most; {
				r := upload(t, io.MultiReader(strings.NewReader(c.begin), readFunc(func([]byte) (int, error) {
					arrived <- struct{}{}
					<-stop
					return 0, io.EOF
				})), -1)
				answered := make(chan answer, 1)
				group.Go(func() { answered <- serve(t, h, r) })
				select {
				case <-arrived:
					inWork++
				case got := <-answered:
					got.wantProblem(t, http.StatusServiceUnavailable, "busy")
					busy = true
				}
			}
			if inWork < c.least {
				t.Errorf("only %d such bodies are in progress at a time", inWork)
			}
			close(stop)
			group.Wait()
			serve(t, h, post(t)).wantStored(t, "e-1")
		})
	}
}

// Every request releases its memory, whatever its result. Otherwise one of these series would use up the 64 MiB.
func TestBytesAreGivenBack(t *testing.T) {
	t.Parallel()
	h := (&parts{}).handler(t)
	const length = 16<<10 - 1 // announced; what comes is shorter
	for name, c := range map[string]struct {
		body   func() io.Reader
		status int
	}{
		"broken": {func() io.Reader { return iotest.ErrReader(io.ErrUnexpectedEOF) }, http.StatusBadRequest},
		"stored": {func() io.Reader { return post(t).Body }, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range 4200 {
				if got := serve(t, h, upload(t, c.body(), length)); got.status != c.status {
					t.Fatalf("request %d: answer %d %s, want %d", i, got.status, got.body, c.status)
				}
			}
		})
	}
}

// A body that is announced but not sent takes nearly no memory. Otherwise 16 callers could block the function.
func TestBytesAreNotHeldForAnAnnouncement(t *testing.T) {
	t.Parallel()
	h := (&parts{}).handler(t)
	stop := make(chan struct{})
	reading := make(chan struct{}, 500)
	var group sync.WaitGroup
	for range cap(reading) {
		first := true
		r := upload(t, readFunc(func(b []byte) (int, error) {
			if first {
				first = false
				reading <- struct{}{}
				return copy(b, `{"userId":`), nil
			}
			<-stop
			return 0, io.ErrUnexpectedEOF
		}), functions.MaxBody)
		group.Go(func() { serve(t, h, r).wantProblem(t, http.StatusBadRequest, "incomplete") })
	}
	for range cap(reading) {
		<-reading
	}
	serve(t, h, upload(t, bytes.NewReader(blank(1<<20)), 1<<20)).wantStored(t, "e-1")
	close(stop)
	group.Wait()
}

func TestDraining(t *testing.T) {
	t.Parallel()
	h := hold(t)
	h.fill(t, 1)
	h.ShutDown()
	got := serve(t, h, request(t, http.MethodPost, register, unwanted(t)))
	got.wantProblem(t, http.StatusServiceUnavailable, "busy")
	if retry := got.header.Get("Retry-After"); retry != "1" {
		t.Errorf("Retry-After = %q", retry)
	}
	h.wantAll(t, 1)
}
