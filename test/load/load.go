// Package load generates load: in a closed loop, where each caller waits for an answer before it sends again, or in an
// open loop, where registrations are due at certain times, whatever the answers.
//
// A Generator has its own callers, which use as little processor time as possible, because they share the machine with
// the measured program.
package load

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// Caller sends registrations.
type Caller interface {
	// Send sends a registration and records the result. due is when it was due. Send returns when the caller is ready
	// for the next one.
	Send(ctx context.Context, due time.Time) (done time.Time)
}

// Closed makes every caller send registrations one after the other for the time d, at least one, and waits for the
// last answers. After the end of ctx no more are sent.
func Closed[C Caller](ctx context.Context, callers []C, d time.Duration) {
	start := time.Now()
	end := start.Add(d)
	var wg sync.WaitGroup
	for _, c := range callers {
		wg.Go(func() {
			for at := start; ; {
				done := c.Send(ctx, at)
				if !done.Before(end) || ctx.Err() != nil {
					return
				}
				at = done
			}
		})
	}
	wg.Wait()
}

// Percentile returns the smallest value that the share p of the values does not exceed, 0 < p <= 1 (nearest rank). It
// returns 0 without values. It sorts the values.
func Percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := int(math.Ceil(p * float64(len(values))))
	return values[min(max(rank, 1), len(values))-1]
}
