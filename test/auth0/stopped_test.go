package auth0

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"sync/atomic"
	"testing"
)

// gate is the Action's address for a stack that is stopped and restarted with another port and key. While no stack
// runs, connections break.
type gate struct {
	*httptest.Server
	stack atomic.Pointer[stack]
}

const gateKey = "key-of-the-gate"

func startGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := g.stack.Load()
		if s == nil {
			panic(http.ErrAbortHandler) // closes the connection
		}
		target, err := neturl.Parse(s.URL)
		if err != nil {
			t.Error(err)
			return
		}
		proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL, p.Out.Host = target, target.Host
			if p.In.Header.Get("X-Functions-Key") == gateKey {
				p.Out.Header.Set("X-Functions-Key", s.Key)
			}
		}}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// TestLocalStopped stops everything, registers a user, and starts it again: the Action's next attempt succeeds. The
// Action's clock is slow, so that a busy machine has enough time for the start.
func TestLocalStopped(t *testing.T) {
	t.Parallel()
	actionNode(t)
	data := t.TempDir()
	g := startGate(t)
	secrets := map[string]any{"FUNCTION_URL": g.URL, "FUNCTION_KEY": gateKey}
	s := startStack(t, "-data", data)
	g.stack.Store(s)
	before := withUser(t, event(t, "database-signup"), "auth0|before")
	logged, _ := runAction(t, before, secrets, 1)
	matches(t, logged, sent200)
	g.stack.Store(nil)
	s.Stop()

	e := event(t, "database-signup")
	_, id := userOf(t, e)
	a := startAction(t, actionCode, e, secrets, 0.5)
	for range 5 { // the fifth attempt comes 6 s after the first, by the Action's clock
		select {
		case status := <-a.failed:
			if status != 0 {
				t.Errorf("answered %d while all of it was stopped", status)
			}
		case <-a.ended:
			t.Fatalf("the Action gave up: %s", a.threw)
		}
	}
	s = startStack(t, "-data", data)
	g.stack.Store(s)
	<-a.ended
	match := matches(t, a.line(t), sent200)
	if match[1] < "6" || match[2] != derived(t, e) {
		t.Errorf("got attempt %s and id %s", match[1], match[2])
	}
	records := s.of(t, id)
	if len(records) == 0 {
		t.Error("the user is not in the topic")
	}
	for _, r := range records {
		if r.headers["ce_id"] != match[2] {
			t.Errorf("got ce_id %s, want %s", r.headers["ce_id"], match[2])
		}
	}
	if n := len(s.of(t, "auth0|before")); n != 1 {
		t.Errorf("got %d records of the user who registered before", n)
	}
}
