// Package wait lets tests wait for expected events with a limit that is long enough for a busy machine: no test
// depends on how long something takes.
package wait

import (
	"context"
	"testing"
	"time"
)

// Patience is how long a test waits for an expected event. Only a failing test waits that long.
const Patience = 3 * time.Minute

// pause is the longest interval between two checks; the first intervals are shorter.
const pause = 50 * time.Millisecond

// For returns when holds returns true. Otherwise it ends the test after Patience.
func For(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	end := time.After(Patience)
	for step := time.Millisecond; !holds(); step = min(2*step, pause) {
		select {
		case <-time.After(step):
		case <-end:
			tb.Fatalf("waited %v in vain: %s", Patience, what)
		}
	}
}

// Receive returns the next value of a channel, or the zero value if it is closed. It ends the test after Patience.
func Receive[T any](tb testing.TB, what string, from <-chan T) T {
	tb.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Patience):
		tb.Fatalf("waited %v in vain: %s", Patience, what)
		panic("not reached")
	}
}

// LongEnough runs a scenario with a time limit of the real clock, first with a short limit and then with longer ones,
// until the scenario reports that the limit was long enough for this machine. It ends the test if even Patience is too
// short. The scenario makes its own checks; it returns false only if the machine was too slow for a valid result. A
// scenario whose limit cannot be set is simply run again.
func LongEnough(tb testing.TB, what string, first time.Duration, scenario func(limit time.Duration) bool) {
	tb.Helper()
	for limit := first; !scenario(limit); limit *= 2 {
		if tb.Failed() {
			tb.FailNow()
		}
		if limit > Patience {
			tb.Fatalf("not even %v are enough: %s", limit, what)
		}
	}
}

// Context returns a context that ends with the test, at the latest after Patience.
func Context(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	tb.Cleanup(cancel)
	return ctx
}
