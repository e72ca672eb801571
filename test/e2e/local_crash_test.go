package e2e_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"userrelay/test/wait"
)

// TestLocalSurvives kills the handler and stops the broker under `go run ./local`, step by step.
func TestLocalSurvives(t *testing.T) { //nolint:tparallel // one step follows the other
	t.Parallel()
	needProc(t)
	l := startLocal(t)
	l.registerWithKey(t, `{"userId":"before"}`).stored(t)
	t.Run("kill the handler", func(t *testing.T) {
		l.killHandler(t)
		l.awaitHandler(t)
		l.registerWithKey(t, `{"userId":" "}`).problem(t, http.StatusBadRequest, "invalid-registration", false, false)
		l.registerWithKey(t, `{"userId":"after-the-first"}`).stored(t)
		l.says(t, `Language Worker Process exited\. Pid=`)
	})
	t.Run("kill it until the host gives up", func(t *testing.T) {
		l.killHandler(t)
		l.awaitHandler(t)
		l.killHandler(t)
		l.says(t, `Exceeded http worker restart retry count\. Shutting down Functions Host`)
		l.says(t, `^The host has stopped: `)
		l.says(t, `^In Azure the platform starts it again; so does this program`)
		if other, err := new(net.ListenConfig).Listen(t.Context(), "tcp", strings.TrimPrefix(l.base, "http://")); err == nil { // before the host did
			l.says(t, `^Port \d+ was taken meanwhile: the host starts as soon as it is free\.`)
			_ = other.Close()
		}
		wait.For(t, "registrations are stored again", func() bool {
			r, err := l.try(t.Context(), http.MethodGet, "/api/Health", http.NoBody)
			return err == nil && r.status == http.StatusOK
		})
		l.registerWithKey(t, `{"userId":"after-the-third"}`).stored(t)
	})
	t.Run("stop the broker", func(t *testing.T) {
		l.switchBroker(t, "false")
		r := l.registerWithKey(t, `{"userId":"without"}`)
		if r.status != http.StatusAccepted {
			t.Errorf("without a broker: got %d %s, want 202", r.status, r.body)
		}
		l.switchBroker(t, "true")
		wait.For(t, "registrations are stored again", func() bool {
			return l.registerWithKey(t, `{"userId":"with"}`).status == http.StatusOK
		})
	})
	seen := map[string]bool{}
	for _, r := range l.records(t) {
		seen[r.Key] = true
	}
	for _, key := range []string{"before", "after-the-first", "after-the-third", "with"} {
		if !seen[key] {
			t.Errorf("no record of %q", key)
		}
	}
}

// killHandler kills the handler and waits until it is gone.
func (l *localRun) killHandler(t *testing.T) {
	t.Helper()
	handler, ok := l.named(t, "handler")
	if !ok {
		t.Fatal("no handler runs")
	}
	handler.kill(t)
	wait.For(t, "the handler is gone", func() bool { return !handler.lives() })
}

// awaitHandler waits until there is a handler.
func (l *localRun) awaitHandler(t *testing.T) {
	t.Helper()
	wait.For(t, "the handler is there again", func() bool {
		_, ok := l.named(t, "handler")
		return ok
	})
}

func (l *localRun) switchBroker(t *testing.T, running string) {
	t.Helper()
	state := `{"running":` + running + `}`
	if r := l.page.call(t, http.MethodPut, "/broker", state); r.status != http.StatusOK || r.body != state {
		t.Fatalf("switch the broker: got %d %q, want 200 %q", r.status, r.body, state)
	}
}
