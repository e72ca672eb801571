package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"userrelay/test/wait"
)

// TestLocalEnds ends `go run ./local` in every way and looks for what is left.
func TestLocalEnds(t *testing.T) {
	t.Parallel()
	needProc(t)
	for _, c := range []struct {
		name   string
		end    func(t *testing.T, l *localRun)
		killed bool // local itself, which then cannot remove its files
	}{
		{"SIGINT to the group", func(t *testing.T, l *localRun) { t.Helper(); signalGroup(t, l.cmd, os.Interrupt) }, false},
		{"SIGTERM to the group", func(t *testing.T, l *localRun) { t.Helper(); signalGroup(t, l.cmd, syscall.SIGTERM) }, false},
		{"SIGKILL to go run", func(t *testing.T, l *localRun) {
			t.Helper()
			if err := l.cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}, false},
		{"SIGKILL to local", func(t *testing.T, l *localRun) {
			t.Helper()
			local, ok := l.named(t, "local")
			if !ok {
				t.Fatal("local does not run")
			}
			local.kill(t)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := startLocal(t)
			l.registerWithKey(t, `{"userId":"a"}`).stored(t)
			all := children(t, l.cmd.Process.Pid)
			for _, name := range []string{"local", "handler"} {
				if !slices.ContainsFunc(all, func(c child) bool { return c.name == name }) {
					t.Fatalf("%s is not among the children: %+v", name, all)
				}
			}
			c.end(t, l)
			wait.For(t, "all have ended", func() bool { return !slices.ContainsFunc(all, child.lives) })
			left, err := filepath.Glob(filepath.Join(l.temp, "userrelay-*"))
			if err != nil || len(left) > 0 && !c.killed {
				t.Errorf("these files are left: %q (%v)", left, err)
			}
		})
	}
}

// TestLocalData shows that -data keeps the topic between runs.
func TestLocalData(t *testing.T) {
	t.Parallel()
	needSignals(t)
	data := t.TempDir()
	var answers []stored
	for _, id := range []string{"a", "a"} {
		l := startLocal(t, "-data", data)
		answers = append(answers, l.registerWithKey(t, `{"userId":"`+id+`"}`).stored(t))
		records := l.records(t)
		for _, a := range answers {
			at(t, records, a)
		}
		l.end(t)
	}
	if answers[1].Offset != answers[0].Offset+1 {
		t.Errorf("got offsets %d and %d, want one after the other", answers[0].Offset, answers[1].Offset)
	}
}

// TestNoHost shows that the settings that `-no-host` prints are all that a handler needs.
func TestNoHost(t *testing.T) {
	t.Parallel()
	l := startLocal(t, "-no-host", "-env", "AUTH0_TENANT=acme")
	env := l.localSettings(t)
	if code, _, stderr := runHandler(t, env, "-check"); code != 0 {
		t.Fatalf("-check: got code %d: %s", code, stderr)
	}
	h := startHandler(t, env...)
	answer := h.register(t, `{"userId":"auth0|no-host"}`).stored(t)
	if got := at(t, l.records(t), answer).header("ce_source"); got != "urn:auth0:acme" {
		t.Errorf("ce_source: got %q, want that of -env", got)
	}
	if r := h.call(t, http.MethodGet, "/api/Health", ""); r.status != http.StatusOK {
		t.Errorf("health: got %d, want 200", r.status)
	}
	l.page.wait(t, "userId", "auth0|no-host", 3)
}
