// Package load generates load: in a closed loop, where each caller waits for an answer before it sends again, or in an
// open loop, where registrations are due at certain times, whatever the answers.
//
// A Generator has its own callers, which use as little processor time as possible, because they share the machine with
// the measured program.
package load

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
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
				at = c.Send(ctx, at)
				if !at.Before(end) || ctx.Err() != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

// Open makes a caller send a registration at each of the times, which are offsets from now, whether or not earlier
// ones are answered, and waits for the last answers. It prefers the most recently used caller, so that as few as
// possible are in use. A registration without a free caller is sent late; its caller knows when it was due. After the
// end of ctx no more are sent.
func Open[C Caller](ctx context.Context, callers []C, times iter.Seq[time.Duration]) error {
	clock, stop := context.WithCancel(ctx)
	defer stop()
	until, err := Alarm(clock)
	if err != nil {
		return err
	}
	var (
		mu   sync.Mutex // guards idle
		idle = slices.Clone(callers)
		busy = make(chan struct{}, len(callers)) // holds one for each caller that is not idle
		all  sync.WaitGroup
	)
	start := time.Now()
	for offset := range times {
		due := start.Add(offset)
		if err = until(due); err != nil {
			break
		}
		busy <- struct{}{}
		mu.Lock()
		last := len(idle) - 1
		c := idle[last]
		idle = idle[:last]
		mu.Unlock()
		all.Go(func() {
			c.Send(ctx, due)
			mu.Lock()
			idle = append(idle, c)
			mu.Unlock()
			<-busy
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Poisson returns the times at which registrations are due, as offsets from the start of a run of length d: a Poisson
// process of rate a second. The same seed gives the same times.
func Poisson(rate float64, d time.Duration, seed uint64) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // G404: repeatable on purpose
		for at := draw.ExpFloat64() / rate; at < d.Seconds() && yield(time.Duration(at*float64(time.Second))); {
			at += draw.ExpFloat64() / rate
		}
	}
}

// Steady returns times with equal intervals, without end. The first one is 0.
func Steady(every time.Duration) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for at := time.Duration(0); yield(at); {
			at += every
		}
	}
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
