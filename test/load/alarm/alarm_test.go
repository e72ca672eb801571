package alarm_test

import (
	"context"
	"testing"
	"time"

	"userrelay/test/load/alarm"
	"userrelay/test/wait"
)

func TestAlarm(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	until, err := alarm.New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, 50 * time.Microsecond, 3 * time.Millisecond} {
		due := time.Now().Add(d)
		if err := until(due); err != nil || time.Until(due) > 0 {
			t.Errorf("in %v: returned %v early, %v", d, time.Until(due), err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- until(time.Now().Add(time.Hour)) }()
	end()
	if wait.Receive(t, "the end of the wait", ended) == nil {
		t.Error("an alarm whose context has ended waited, and the hour is over")
	}
}
