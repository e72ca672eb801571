package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

// beParent makes this test binary the parent of a handler: it starts the program in its next argument, with its own
// environment and streams, and waits for its end.
const beParent = "-be-parent"

func runParent(program string) int {
	handler := exec.CommandContext(context.Background(), program) //nolint:gosec // G702: it is there to start what it is told to
	handler.Stdout, handler.Stderr = os.Stdout, os.Stderr
	if err := handler.Run(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestParentKilled shows that a handler whose parent is killed ends by itself.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	h := &handlerRun{port: port, client: newClient(t, "http://"+loopback(port))}
	h.process = startProcess(t, []string{noOutbox, mostTime, startBroker(t).setting(), portSetting(port)}, self, beParent, handlerBinary)
	if !h.ready(t) {
		t.Fatal("the handler does not start")
	}
	h.register(t, `{"userId":"a"}`).stored(t)
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.wait(t) // for the end of the output, which the handler holds open
	if h.listening(t) || !strings.Contains(lastLine(h.stdout.String()), "the parent process is gone") {
		t.Error("the handler is there still, or has not said why it ends")
	}
}

// TestSignals checks the exit codes, which the Functions host interprets: after 0 it never restarts the handler.
func TestSignals(t *testing.T) {
	t.Parallel()
	needSignals(t)
	for name, c := range map[string]struct {
		signal os.Signal
		code   int
	}{
		"SIGINT":  {os.Interrupt, 0},
		"SIGTERM": {syscall.SIGTERM, 143},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startHandler(t, startBroker(t).setting())
			h.register(t, `{"userId":"a"}`).stored(t)
			h.signal(t, c.signal)
			if code := h.wait(t); code != c.code {
				t.Errorf("got exit code %d, want %d", code, c.code)
			}
		})
	}
}

// TestInWorkAtTheEnd shows that a registration in progress at SIGTERM is answered before the end. The handler waits 4
// s for Kafka; if this machine was too slow for that, the test tries again.
func TestInWorkAtTheEnd(t *testing.T) {
	t.Parallel()
	needSignals(t)
	wait.LongEnough(t, "an answer", time.Second, func(time.Duration) bool { return inWorkAtTheEnd(t) })
}

// inWorkAtTheEnd says whether the registration was stored in time.
func inWorkAtTheEnd(t *testing.T) bool {
	t.Helper()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	h.register(t, `{"userId":"before"}`).stored(t)

	kafka.set(t, faultproxy.Faults{BlackHole: true})
	var inWork reply
	answered := make(chan error, 1)
	go func() {
		var err error
		inWork, err = h.try(t.Context(), http.MethodPost, "/api/RegisterUser", strings.NewReader(`{"userId":"in-work"}`))
		answered <- err
	}()
	wait.For(t, "the registration is in progress", func() bool { return strings.Contains(h.stdout.String(), "in-work") })
	h.signal(t, syscall.SIGTERM)
	wait.For(t, "the handler takes no connections", func() bool { return !h.listening(t) })
	kafka.set(t, faultproxy.Faults{})

	if err := wait.Receive(t, "the answer", answered); err != nil {
		t.Fatal(err)
	}
	if code := h.wait(t); code != 143 {
		t.Errorf("got exit code %d, want 143", code)
	}
	if inWork.status == http.StatusServiceUnavailable {
		return false
	}
	place := inWork.stored(t)
	records := kafka.records(t)
	at(t, records, place)
	if len(records) != 2 {
		t.Errorf("got %d records, want 2", len(records))
	}
	return true
}
