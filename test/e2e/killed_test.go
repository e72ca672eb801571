package e2e_test

import (
	"fmt"
	"testing"
)

// TestKilled kills a handler as the Functions host does, without a signal before: registrations that were answered 200
// are in the topic, and telemetry has all except the newest. (Another test shows in virtual time that it is at most a
// second behind.)
func TestKilled(t *testing.T) {
	t.Parallel()
	kafka, telemetry := startBroker(t), startTelemetry(t)
	h := startHandler(t, kafka.setting(), telemetry.setting(), "LOG_LEVEL=warn")
	var answers []stored
	register := func() {
		for range 20 {
			answers = append(answers, h.register(t, fmt.Sprintf(`{"userId":"auth0|%d"}`, len(answers))).stored(t))
		}
	}
	register()
	for _, a := range answers {
		telemetry.wait(t, "eventId", a.EventID, 3) // received, send, forwarded
	}
	register()
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.wait(t)

	records := kafka.records(t)
	for _, a := range answers {
		at(t, records, a)
	}
}
