package load

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"userrelay/test/load/alarm"
)

// Poisson returns the times at which registrations are due, as offsets from the start of a run of length d: a Poisson
// process of rate a second. The same seed gives the same times.
func Poisson(rate float64, d time.Duration, seed uint64) []time.Duration {
	draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // G404: repeatable on purpose
	var due []time.Duration
	for at := 0.0; ; {
		at += draw.ExpFloat64() / rate
		if at >= d.Seconds() {
			return due
		}
		due = append(due, time.Duration(at*float64(time.Second)))
	}
}

// Steady returns n times with equal intervals. The first one is 0.
func Steady(every time.Duration) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for at := time.Duration(0); yield(at); {
			at += every
		}
	}
}

// Open makes a caller send a registration at each of the times, which are offsets from now, whether or not earlier
// ones are answered, and waits for the last answers. It prefers the most recently used caller, so that as few as
// possible are in use. A registration without a free caller is sent late; its caller knows when it was due. After the
// end of ctx no more are sent.
func Open[C Caller](ctx context.Context, callers []C, times iter.Seq[time.Duration]) (err error) {
	clock, err := alarm.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clock.Close()) }()
	var (
		mu   sync.Mutex // guards idle
		idle = slices.Clone(callers)
		busy = make(chan struct{}, len(callers)) // holds one for each caller that is not idle
		all  sync.WaitGroup
	)
	start := time.Now()
	for offset := range times {
		due := start.Add(offset)
		if err = clock.Until(due); err != nil || ctx.Err() != nil {
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
	return err
}
