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

	"userrelay/handler/outbox"
	"userrelay/test/faultproxy"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// beParent makes this test binary the parent of a handler: it starts the program in its next argument, with its own
// environment and streams, and waits for its end.
const beParent = "-be-parent"

func runParent(program string) int {
	handler := exec.CommandContext(context.Background(), program) //nolint:gosec // G702: it is there to start what it is told to
	handler.Stdout, handler.Stderr = os.Stdout, os.Stderr
	if handler.Run() != nil {
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
	h := startUnder(t, []string{startBroker(t).setting()}, self, beParent, handlerBinary)
	if !h.ready(t) {
		t.Fatal("the handler does not start")
	}
	h.kill(t)
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
	wait.LongEnough(t, "an answer", time.Second, func(time.Duration) bool { return inWorkAtTheEnd(t) })
}

// inWorkAtTheEnd says whether the registration was stored in time.
func inWorkAtTheEnd(t *testing.T) bool {
	t.Helper()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	h.register(t, `{"userId":"before"}`).stored(t)

	kafka.Set(t, faultproxy.Faults{BlackHole: true})
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
	kafka.Set(t, faultproxy.Faults{})

	if err := wait.Receive(t, "the answer", answered); err != nil {
		t.Fatal(err)
	}
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
}

// TestKilled kills a handler as the Functions host does, without a signal before: registrations that were answered 200
// are in the topic. (Another test shows in virtual time that telemetry is at most a second behind.)
func TestKilled(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	var answers []stored
	for i := range 40 {
		answers = append(answers, h.register(t, fmt.Sprintf(`{"userId":"auth0|%d"}`, i)).stored(t))
	}
	h.kill(t)
	h.wait(t)
	records := kafka.records(t)
	for _, a := range answers {
		at(t, records, a)
	}
}

// TestDrainedLater leaves a registration with its profile in the outbox: the next handler drains it, without a host and
// as its own RECORD_PROFILE says.
func TestDrainedLater(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	queues, storage := startQueues(t)
	h := startHandler(t, noBroker, storage, "OUTBOX=on", "KAFKA_TIMEOUT=500ms", "RECORD_PROFILE=full")
	id := h.register(t, `{"userId":"auth0|1","user":{"name":"Jane"}}`).kept(t).EventID
	h.interrupt(t)
	startHandler(t, kafka.setting(), storage, "OUTBOX=on", "KAFKA_TIMEOUT=2s", "RECORD_PROFILE=id")
	queue := queuetest.Open(t, queues.ConnectionString(), outbox.QueueName)
	wait.For(t, "the outbox is empty", func() bool { return queuetest.Count(t, queue) == 0 })
	for _, r := range kafka.records(t) {
		if r.Header("ce_id") != id || string(r.Value) != `{"userId":"auth0|1"}` || r.Header("ce_profileomitted") != "" {
			t.Errorf("got record %+v", r)
		}
	}
	if n := copies(kafka.records(t), "auth0|1"); n != 1 {
		t.Errorf("the topic has it %d times, want once", n)
	}
}
