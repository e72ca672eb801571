package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"userrelay/local/funchost"
	"userrelay/test/faultproxy"
	"userrelay/test/must"
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
	console := &recorder.Recorder{}
	host := must.Get[*funchost.Host](t)(funchost.Start(t.Context(), funchost.Config{
		Dir: moduleRoot, NoAuth: true, Console: io.MultiWriter(console, t.Output()),
		Env: slices.Concat(settings, []string{
			"AzureFunctionsJobHost__customHandler__description__defaultExecutablePath=" + filepath.ToSlash(handlerBinary),
			"AzureFunctionsJobHost__extensions__queues__maxPollingInterval=00:00:01",
		}),
	}))
	t.Cleanup(func() { _ = host.Close() }) // tests look at its error where it matters
	return &hosted{host, newClient(t, host.URL()), console}
}

// TestExampleSettings hosts the app like a new user: with a Kafka, the unchanged local.settings.json.example, and no
// emulator. Registrations are stored, the queue's trigger does not use the queue, which would end the host, and one
// line says that the outbox is missing.
func TestExampleSettings(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	settings := localSettings(t, filepath.Join(moduleRoot, "local.settings.json.example"))
	// On this machine something may already listen on the example's ports of Kafka and the emulator.
	nobody := "QueueEndpoint=http://127.0.0.1:1/devstoreaccount1;AccountName=devstoreaccount1;AccountKey=a2V5"
	h := startHost(t, append(settings, "AZURE_FUNCTIONS_ENVIRONMENT=Development", kafka.setting(), "AzureWebJobsStorage="+nobody)...)
	h.registerSoon(t, `{"userId":"auth0|first"}`)
	if !strings.Contains(h.console.String(), "Function DrainOutbox is disabled.") {
		t.Error("the trigger is on")
	}
	const missing = "The outbox cannot be reached"
	wait.For(t, "the line about the outbox", func() bool { return strings.Contains(h.console.String(), missing) })
	for range 20 {
		h.registerSoon(t, `{"userId":"auth0|more"}`)
	}
	said := regexp.MustCompile(".*"+missing+".*").FindAllString(h.console.String(), -1)
	if len(said) != 1 || !strings.Contains(said[0], "go run ./local -no-host") || !strings.Contains(said[0], "OUTBOX=off") {
		t.Errorf("got %q, want one line that names the ways out", said)
	}
	if err := h.Err(); err != nil {
		t.Errorf("the host has ended: %v", err)
	}
}

// TestFlex runs the app as Flex Consumption does: registrations and drains on separate instances, which share only
// Kafka and the queue. An instance for HTTP needs no storage account while Kafka is there.
func TestFlex(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	queues, storage := startQueues(t)
	settings := []string{kafka.setting(), storage}
	front := startHost(t, append(settings, "FUNCTIONS_TARGET_GROUP=http")...)
	drains := startHost(t, append(settings, "FUNCTIONS_TARGET_GROUP=DrainOutbox")...)
	if r := drains.register(t, `{"userId":"a"}`); r.status != http.StatusNotFound {
		t.Errorf("the instance that drains answers a registration with %d", r.status)
	}
	front.registerSoon(t, `{"userId":"auth0|first"}`)

	kafka.Set(t, faultproxy.Faults{Refuse: true})
	const users = 20
	for i := range users {
		front.register(t, fmt.Sprintf(`{"userId":"auth0|flex-%d"}`, i)).kept(t)
	}
	kafka.Set(t, faultproxy.Faults{})
	waitDrained(t, queues.ConnectionString())
	records := kafka.records(t)
	for i := range users {
		if n := len(recordsOf(records, fmt.Sprintf("auth0|flex-%d", i))); n != 1 {
			t.Errorf("user %d is in the topic %d times, want once", i, n)
		}
	}

	if err := queues.Close(); err != nil {
		t.Fatal(err)
	}
	front.registerSoon(t, `{"userId":"auth0|last"}`)
	if err := front.Err(); err != nil {
		t.Errorf("the instance for HTTP has ended: %v", err)
	}
}
