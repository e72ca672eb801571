package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"userrelay/test/wait"
)

// TestExampleSettings hosts the app like a new user: with a Kafka, the unchanged local.settings.json.example, and no
// emulator. The first registration is stored, the queue's trigger does not use the queue (TestStorageAway shows the
// effect), and one line says that the outbox is missing.
func TestExampleSettings(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	settings := localSettings(t, filepath.Join(moduleRoot, "local.settings.json.example"))
	// On this machine something may already listen on the example's ports of Kafka and the emulator.
	nobody := "QueueEndpoint=http://127.0.0.1:1/devstoreaccount1;AccountName=devstoreaccount1;AccountKey=a2V5"
	h := startHost(t, append(settings, "AZURE_FUNCTIONS_ENVIRONMENT=Development", kafka.setting(), "AzureWebJobsStorage="+nobody)...)
	h.register(t, `{"userId":"auth0|first"}`).stored(t)
	if !strings.Contains(h.console.String(), "Function DrainOutbox is disabled.") {
		t.Error("the trigger is on")
	}
	const missing = "The outbox cannot be reached"
	wait.For(t, "the line about the outbox", func() bool { return strings.Contains(h.console.String(), missing) })
	for line := range strings.Lines(h.console.String()) {
		if strings.Contains(line, missing) && (!strings.Contains(line, "go run ./local -no-host") || !strings.Contains(line, "OUTBOX=off")) {
			t.Errorf("the line names no way out: %s", line)
		}
	}
	h.register(t, `{"userId":"auth0|second"}`).stored(t)
	if n := strings.Count(h.console.String(), missing); n != 1 {
		t.Errorf("it is said %d times", n)
	}
	if err := h.Err(); err != nil {
		t.Errorf("the host has ended: %v", err)
	}
}
