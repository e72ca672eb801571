package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/test/wait"
)

// TestLocalEnds ends `go run ./local` in every way and checks that nothing is left.
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

// TestLocalInterruptedEarly ends it during the build and at other moments of the start, which must look like a normal
// end.
func TestLocalInterruptedEarly(t *testing.T) {
	t.Parallel()
	needProc(t)
	for _, after := range []string{"Building the handler", "Look at it"} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			l := &localRun{temp: t.TempDir()}
			cmd := localCommand(t, l.temp, filepath.Join(t.TempDir(), "ready.json"))
			l.process = start(t, cmd)
			t.Cleanup(func() { l.end(t) })
			l.says(t, after)
			all := children(t, l.cmd.Process.Pid)
			signalGroup(t, l.cmd, os.Interrupt)
			l.wait(t) // the code is that of go run, which has been interrupted
			if l.stderr.String() != "" || strings.Contains(l.stdout.String(), "signal") {
				t.Errorf("it says %s%s", l.stderr, l.stdout)
			}
			wait.For(t, "all have ended", func() bool { return !slices.ContainsFunc(all, child.lives) })
		})
	}
}

// TestLocalKafkaAway starts it with a missing broker: it reports that once, registrations wait in the outbox, and the
// broker is used as soon as it is available.
func TestLocalKafkaAway(t *testing.T) {
	t.Parallel()
	needSignals(t)
	port := freePort(t)
	l := &localRun{temp: t.TempDir()}
	ready := filepath.Join(t.TempDir(), "ready.json")
	l.process = start(t, localCommand(t, l.temp, ready, "-kafka", loopback(port)))
	t.Cleanup(func() { l.end(t) })
	command := l.says(t, `^Register a user: +curl -i '([^']+)' -d`)
	l.says(t, `^Nothing listens at `+regexp.QuoteMeta(loopback(port))+`: start Kafka there`)
	if _, err := os.Stat(ready); err == nil {
		t.Error("ready without Kafka")
	}
	url, _, _ := strings.Cut(command[1], "/api/")
	l.client = newClient(t, url)
	l.addresses.Key = command[1][strings.LastIndexByte(command[1], '=')+1:]
	l.registerWithKey(t, `{"userId":"auth0|early"}`).kept(t)

	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	l.says(t, `^Made the topic user-events`)
	wait.For(t, "local is ready", func() bool { _, err := os.Stat(ready); return err == nil })
	l.says(t, `^Kafka takes registrations now\.`)
	wait.For(t, "registrations are stored", func() bool {
		return l.registerWithKey(t, `{"userId":"auth0|late"}`).status == http.StatusOK
	})
	if n := strings.Count(l.stdout.String(), "Nothing listens at"); n != 1 {
		t.Errorf("said %d times that nothing listens", n)
	}
}

// TestLocalOpens checks that -open opens the page, and that the output for a new user is short.
func TestLocalOpens(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: it takes another program to open a page on this system")
	}
	dir := t.TempDir()
	opened := filepath.Join(dir, "opened")
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\nprintf %s \"$1\" > "+opened+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	l := &localRun{temp: t.TempDir()}
	cmd := localCommand(t, l.temp, filepath.Join(dir, "ready.json"), "-open")
	for i, setting := range cmd.Env {
		if path, ok := strings.CutPrefix(setting, "PATH="); ok {
			cmd.Env[i] = "PATH=" + dir + string(os.PathListSeparator) + path
		}
	}
	l.process = start(t, cmd)
	t.Cleanup(func() { l.end(t) })
	page := l.says(t, `^Look at it: +(\S+)$`)[1]
	wait.For(t, "the page is opened", func() bool {
		text, err := os.ReadFile(opened)
		return err == nil && string(text) == page
	})
	command := l.says(t, `^Register a user: +curl -i '([^']+)' -d`)
	l.says(t, `^Ctrl-C ends it\.$`)
	url, path, _ := strings.Cut(command[1], "/api/")
	l.client = newClient(t, url)
	before := strings.Count(l.stdout.String(), "\n")
	if before > 5 { // the build, three lines, and one possible line about a busy machine
		t.Errorf("the start is told in %d lines:\n%s", before, l.stdout)
	}
	const registrations = 5
	for i := range registrations {
		l.call(t, http.MethodPost, "/api/"+path, `{"userId":"auth0|`+strconv.Itoa(i)+`"}`).stored(t)
	}
	l.end(t)
	if lines := strings.Count(l.stdout.String(), "\n") - before; lines > 2*registrations {
		t.Errorf("%d registrations are told in %d lines:\n%s", registrations, lines, l.stdout)
	}
}

// TestNoHost shows that a handler needs only the settings that `-no-host` prints.
func TestNoHost(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "local.settings.json")
	l := startLocal(t, "-no-host", "-settings", file, "-env", "AUTH0_TENANT=acme")
	env := localSettings(t, file)
	if !slices.Contains(env, "AzureWebJobs.DrainOutbox.Disabled=true") {
		t.Error("the queue's trigger, which needs blobs, is not switched off")
	}
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
