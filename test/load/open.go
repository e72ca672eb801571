package load

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
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
// ones are answered, and waits for the last answers. A registration without a free caller is sent late; its caller
// knows when it was due. After the end of ctx no more are sent.
func Open[C Caller](ctx context.Context, callers []C, times iter.Seq[time.Duration]) (err error) {
	clock, err := alarm.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clock.Close()) }()
	p := newPool(callers)
	start := time.Now()
	var wg sync.WaitGroup
	for _, w := range p.idle {
		wg.Go(func() { p.work(ctx, w) })
	}
	for offset := range times {
		due := start.Add(offset)
		if err = clock.Until(due); err != nil || ctx.Err() != nil {
			break
		}
		p.submit(due)
	}
	p.end()
	wg.Wait()
	return err
}

// pool passes due registrations to callers. It prefers the most recently used caller, so that as few as possible are
// in use.
type pool[C Caller] struct {
	mu      sync.Mutex
	idle    []*worker[C]
	waiting []time.Time // due, and no caller was free
	ended   bool
}

// worker is a caller and its next registration.
type worker[C Caller] struct {
	caller C
	due    chan time.Time // closed when there is no more
}

func newPool[C Caller](callers []C) *pool[C] {
	p := &pool[C]{}
	for _, c := range callers {
		p.idle = append(p.idle, &worker[C]{caller: c, due: make(chan time.Time, 1)})
	}
	return p
}

func (p *pool[C]) submit(due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		p.waiting = append(p.waiting, due)
		return
	}
	p.idle[last].due <- due
	p.idle = p.idle[:last]
}

// end makes the workers return when all submitted registrations are answered.
func (p *pool[C]) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, w := range p.idle {
		close(w.due)
	}
	p.idle = nil
}

func (p *pool[C]) work(ctx context.Context, w *worker[C]) {
	for due := range w.due {
		for ok := true; ok; due, ok = p.next(w) {
			w.caller.Send(ctx, due)
		}
	}
}

// next returns a waiting registration. If there is none the worker becomes idle, or ends.
func (p *pool[C]) next(w *worker[C]) (due time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.waiting) > 0:
		due, p.waiting = p.waiting[0], p.waiting[1:]
		return due, true
	case p.ended:
		close(w.due)
	default:
		p.idle = append(p.idle, w)
	}
	return time.Time{}, false
}
