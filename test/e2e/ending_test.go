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
	"userrelay/test/must"
	"userrelay/test/wait"
)

// beParent makes this test binary the parent of a handler: it starts the program in its next argument, with its own
// environment and streams, and waits for its end.
const beParent = "-be-parent"

func runParent(program string) {
	handler := exec.CommandContext(context.Background(), program) //nolint:gosec // G702: it is there to start what it is told to
	handler.Stdout, handler.Stderr = os.Stdout, os.Stderr
	_ = handler.Run() // the test looks at the handler
}

// TestParentKilled shows that a handler whose parent is killed ends by itself.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	self := must.Get[string](t)(os.Executable())
	h := startUnder(t, []string{startBroker(t).setting()}, self, beParent, handlerBinary)
	if !h.ready(t) {
		t.Fatal("the handler does not start")
	}
	h.signal(t, os.Kill)
	h.wait(t) // for the end of the output, which the handler holds open
	if h.listening(t) || !strings.Contains(h.stdout.String(), "the parent process is gone") {
		t.Error("the handler is there still, or has not said why it ends")
	}
}

// TestInWorkAtTheEnd shows that a registration in progress at SIGTERM is answered before the end. The handler waits 4
// s for Kafka; if this machine was too slow for that, the test tries again.
func TestInWorkAtTheEnd(t *testing.T) {
	t.Parallel()
	needSignals(t)
	wait.LongEnough(t, "an answer", time.Second, func(time.Duration) bool {
		kafka := startBroker(t)
		h := startHandler(t, kafka.setting())
		h.register(t, `{"userId":"before"}`).stored(t)

		kafka.Set(t, faultproxy.Faults{BlackHole: true})
		answered := make(chan reply, 1)
		go func() {
			r, err := h.try(t.Context(), http.MethodPost, h.function, strings.NewReader(`{"userId":"in-work"}`))
			if err != nil {
				t.Error(err)
			}
			answered <- r
		}()
		wait.For(t, "the registration is in progress", func() bool { return strings.Contains(h.stdout.String(), "in-work") })
		h.signal(t, syscall.SIGTERM)
		wait.For(t, "the handler takes no connections", func() bool { return !h.listening(t) })
		kafka.Set(t, faultproxy.Faults{})

		inWork := wait.Receive(t, "the answer", answered)
		if code := h.wait(t); code != 143 { // after 0 the host would never start the handler again
			t.Errorf("got exit code %d, want 143", code)
		}
		if inWork.status == http.StatusServiceUnavailable {
			return false
		}
		records := kafka.records(t)
		at(t, records, inWork.stored(t))
		if len(records) != 2 {
			t.Errorf("got %d records, want 2", len(records))
		}
		return true
	})
}

// TestKilled kills a handler as the Functions host does, without a signal before: registrations that were answered 200
// are in the topic. (Another test shows in virtual time that telemetry is at most a second behind.)
func TestKilled(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	var answers []answer
	for i := range 40 {
		answers = append(answers, h.register(t, fmt.Sprintf(`{"userId":"auth0|%d"}`, i)).stored(t))
	}
	h.signal(t, os.Kill)
	h.wait(t)
	records := kafka.records(t)
	for _, a := range answers {
		at(t, records, a)
	}
}

// TestDrainedLater leaves a registration with its profile in the outbox: the next handler drains it, once, without a
// host and as its own RECORD_PROFILE says.
func TestDrainedLater(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]string{
		"id": `{"userId":"auth0|1"}`, "full": `{"userId":"auth0|1","user":{"name":"Jane"}}`,
	} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			queues, storage := startQueues(t)
			h := startHandler(t, noBroker, storage, "OUTBOX=on", "KAFKA_TIMEOUT=500ms", "RECORD_PROFILE=full")
			id := h.register(t, `{"userId":"auth0|1","user":{"name":"Jane"}}`).kept(t)
			h.interrupt(t)
			startHandler(t, kafka.setting(), storage, "OUTBOX=on", "KAFKA_TIMEOUT=2s", "RECORD_PROFILE="+profile)
			waitDrained(t, queues.ConnectionString())
			records := kafka.records(t)
			if len(records) != 1 {
				t.Fatalf("got %d records, want one", len(records))
			}
			if r := &records[0]; r.Header("ce_id") != id || string(r.Value) != want || r.Header("ce_profileomitted") != "" {
				t.Errorf("got record %+v", r)
			}
		})
	}
}
