package alarm_test

import (
	"testing"
	"time"

	"userrelay/test/load/alarm"
	"userrelay/test/wait"
)

func TestAlarm(t *testing.T) {
	a, err := alarm.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, 50 * time.Microsecond, 3 * time.Millisecond} {
		due := time.Now().Add(d)
		if err := a.Until(due); err != nil || time.Until(due) > 0 {
			t.Errorf("in %v: returned %v early, %v", d, time.Until(due), err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Until(time.Now().Add(time.Hour)) }()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if wait.Receive(t, "the end of the wait", ended) == nil {
		t.Error("a closed alarm waited, and the hour is over")
	}
}
