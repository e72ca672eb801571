package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"userrelay/test/bench/alarm"
)

// Schedule returns the times at which registrations are due, as offsets from the start of a run of length d: a Poisson
// process of rate a second. The same seed gives the same schedule.
func Schedule(rate float64, d time.Duration, seed uint64) []time.Duration {
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

// Open sends a registration at each of the times, whether earlier ones are answered or not, and waits for the last
// answers. Latencies count from the time at which a registration was due: what waits for a free connection, or for a
// generator that comes too late, counts as slow. When ctx ends the run ends early.
func (g *Generator) Open(ctx context.Context, schedule []time.Duration) (s Sample, err error) {
	clock, err := alarm.New()
	if err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, clock.Close()) }()
	var length time.Duration
	if len(schedule) > 0 {
		length = schedule[len(schedule)-1]
	}
	defer g.begin(ctx, length)()
	p := newPool(g.conns)
	start := time.Now()
	var wg sync.WaitGroup
	for _, w := range p.idle {
		wg.Go(func() { p.work(ctx, w) })
	}
	for _, offset := range schedule {
		due := start.Add(offset)
		if err = clock.Until(due); err != nil || ctx.Err() != nil {
			break
		}
		p.submit(due)
	}
	p.end()
	wg.Wait()
	return g.sample(start), err
}

// pool hands registrations that are due to connections. The connection that was used last goes first, so that no more
// of them are in use than have to be.
type pool struct {
	mu      sync.Mutex
	idle    []*worker
	waiting []time.Time // due, and no connection was free
	ended   bool
}

// worker is one connection and what it is to send next.
type worker struct {
	conn *conn
	due  chan time.Time // closed when there is no more
}

func newPool(conns []*conn) *pool {
	p := &pool{}
	for _, c := range conns {
		p.idle = append(p.idle, &worker{conn: c, due: make(chan time.Time, 1)})
	}
	return p
}

func (p *pool) submit(due time.Time) {
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

// end has the workers return when all that was submitted is answered.
func (p *pool) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, w := range p.idle {
		close(w.due)
	}
	p.idle = nil
}

func (p *pool) work(ctx context.Context, w *worker) {
	for due := range w.due {
		w.conn.send(ctx, due)
		for {
			var ok bool
			if due, ok = p.next(w); !ok {
				break
			}
			w.conn.send(ctx, due)
		}
	}
}

// next returns a registration that waits. Where there is none the worker is idle again, or has nothing more to do.
func (p *pool) next(w *worker) (due time.Time, ok bool) {
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
