// Package wait has tests wait for what must happen, with a patience that a busy machine does not exhaust: how long
// something takes decides no test.
package wait

import (
	"context"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen at all. Only a test that fails waits so long.
const Patience = 3 * time.Minute

// pause is the longest time between two looks; the first looks come sooner after another.
const pause = 50 * time.Millisecond

// For returns when holds reports true. It ends the test where that does not come.
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

// Receive returns the next value of a channel, the zero value where it is closed. It ends the test where nothing comes.
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

// LongEnough runs a scenario that a time limit of the real clock ends, with a first limit and then with ever longer ones,
// until the scenario reports that the limit was long enough for this machine, as it is now. It ends the test where even
// Patience is not. What the scenario shows it checks by itself; it reports false only where the machine was too slow to
// show anything. One whose limit cannot be set is just run again.
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

// Context returns a context for the rest of the test that ends after Patience.
func Context(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	tb.Cleanup(cancel)
	return ctx
}
