package e2e_test

import (
	"fmt"
	"testing"
	"time"
)

// TestKilled kills a handler as the Functions host does, without a warning: what was answered 200 is in the topic, and
// telemetry lacks the last second at most.
func TestKilled(t *testing.T) {
	t.Parallel()
	// A second until items go out, and as much again for a busy machine to send them.
	const lost = 2 * time.Second
	kafka, telemetry := startBroker(t), startTelemetry(t)
	h := startHandler(t, kafka.setting(), telemetry.setting(), "LOG_LEVEL=warn")
	type answered struct {
		stored
		at time.Time
	}
	var answers []answered
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for begin := time.Now(); time.Since(begin) < 2*lost; <-pace.C {
		s := h.register(t, fmt.Sprintf(`{"userId":"auth0|%d"}`, len(answers))).stored(t)
		answers = append(answers, answered{s, time.Now()})
	}
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	h.wait(t)

	records := kafka.records(t)
	told := 0
	for _, a := range answers {
		at(t, records, a.stored)
		items, _ := telemetry.find(t, "eventId", a.EventID)
		if len(items) == 3 { // received, send, forwarded
			told++
		} else if before := killed.Sub(a.at); before > lost {
			t.Errorf("answered %v before the end, and %d items have arrived", before, len(items))
		}
	}
	if told == 0 || len(answers) < 20 {
		t.Errorf("%d registrations, telemetry of %d", len(answers), told)
	}
}
