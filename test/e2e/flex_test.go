package e2e_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"userrelay/handler/outbox"
	"userrelay/local/funchost"
	"userrelay/test/faultproxy"
	"userrelay/test/queuetest"
	"userrelay/test/recorder"
	"userrelay/test/wait"
)

// hosted is a handler under the stand-in for the Functions host.
type hosted struct {
	*funchost.Host
	client
	console *recorder.Recorder
}

// startHost hosts the app with these settings. No key is needed.
func startHost(t *testing.T, settings ...string) *hosted {
	t.Helper()
	h := &hosted{console: &recorder.Recorder{}}
	var err error
	h.Host, err = funchost.Start(t.Context(), funchost.Config{
		Dir: moduleRoot, NoAuth: true, Console: h.console,
		Env: slices.Concat(settings, []string{
			"AzureFunctionsJobHost__customHandler__description__defaultExecutablePath=" + filepath.ToSlash(handlerBinary),
			"AzureFunctionsJobHost__extensions__queues__maxPollingInterval=00:00:01",
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.Close() // tests look at its error where it matters
		if t.Failed() {
			t.Logf("console of the host:\n%s", h.console)
		}
	})
	h.client = newClient(t, h.URL())
	return h
}

// TestFlex runs the app as Flex Consumption does: registrations and drains on separate instances, which share only
// Kafka and the queue. A storage account that refuses connections ends only the instances that drain.
func TestFlex(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	queues, storage := startQueues(t)
	settings := []string{kafka.setting(), storage}
	front := startHost(t, append(settings, "FUNCTIONS_TARGET_GROUP=http")...)
	drains := startHost(t, append(settings, "FUNCTIONS_TARGET_GROUP=DrainOutbox")...)
	wait.For(t, "both handlers run", func() bool { return front.HandlerPID() != 0 && drains.HandlerPID() != 0 })
	if front.HandlerPID() == drains.HandlerPID() {
		t.Fatal("one handler for both")
	}
	if r := drains.register(t, `{"userId":"a"}`); r.status != http.StatusNotFound {
		t.Errorf("the instance that drains answers a registration with %d", r.status)
	}
	front.register(t, `{"userId":"auth0|first"}`).stored(t)

	kafka.stop(t)
	const users = 20
	for i := range users {
		front.register(t, fmt.Sprintf(`{"userId":"auth0|flex-%d"}`, i)).kept(t)
	}
	kafka.set(t, faultproxy.Faults{})
	queue := queuetest.Open(t, queues.ConnectionString(), outbox.QueueName)
	wait.For(t, "the outbox is empty", func() bool { return queuetest.Count(t, queue) == 0 })
	copies := map[string]int{}
	for _, r := range kafka.records(t) {
		copies[r.Key]++
	}
	for i := range users {
		if n := copies[fmt.Sprintf("auth0|flex-%d", i)]; n != 1 {
			t.Errorf("user %d is in the topic %d times, want once", i, n)
		}
	}

	if err := queues.Close(); err != nil {
		t.Fatal(err)
	}
	wait.Receive(t, "the end of the instance that drains", drains.Done())
	if err := drains.Err(); err == nil || !strings.Contains(err.Error(), "An unhandled exception has occurred. Host is shutting down.") {
		t.Errorf("it ended for %v", err)
	}
	front.register(t, `{"userId":"auth0|last"}`).stored(t)
	if err := front.Err(); err != nil {
		t.Errorf("the instance for HTTP has ended: %v", err)
	}
}
