package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/test/bench/report"
	"userrelay/test/child"
	"userrelay/test/load"
)

// bench is a run of the benchmark.
type bench struct {
	plan      plan
	dir       string // of the programs
	kafkaHome string // "" where there is none
	against   string // another build of the handler, "" for none
	progress  io.Writer
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...) // a run must not fail because of the progress output
}

// openConns are the connections of an open loop. The relays that are worth it need a tenth of them.
const openConns = 512

// stage measures relays with a broker that has their topics.
type stage struct {
	*bench
	report.Stage
	start  starter
	loads  []report.Load
	rounds int
	each   time.Duration // length of a measurement
	warm   time.Duration // before the first round, all relays together
	trim   bool          // empty the topics between measurements

	brokers []string
	relays  []*relay
	client  *kgo.Client // another one than the relays'
}

// run starts broker and relays, measures all cells in all rounds, counts, and stops them.
func (s *stage) run(ctx context.Context) (st report.Stage, err error) {
	var stop func() error
	if s.brokers, stop, err = s.start(ctx, topicsOf(s.Relays)); err != nil {
		return s.Stage, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if s.client, err = kgo.NewClient(kgo.SeedBrokers(s.brokers...)); err != nil {
		return s.Stage, fmt.Errorf("make a client: %w", err)
	}
	defer s.client.Close()
	if s.ID == report.Cold {
		err = s.cold(ctx)
	} else {
		err = s.measureAll(ctx)
	}
	for _, r := range s.relays {
		err = errors.Join(err, r.stop())
	}
	return s.Stage, err
}

// cold measures the time from the start of a relay's process to the first answer 200.
func (s *stage) cold(ctx context.Context) error {
	return s.everyRound(func(c *report.Cell, name report.Relay, round int) (m report.Measure, err error) {
		start := time.Now()
		r, err := s.spawn(ctx, name, s.brokers)
		if err != nil {
			return m, err
		}
		err = r.ready(ctx)
		m.First = time.Since(start)
		s.say("%-17s  %-16s  round %d of %d  %-23s  %v", s.Title, c.Load, round+1, s.rounds, name, m.First.Round(100*time.Microsecond))
		return m, errors.Join(err, r.stop())
	})
}

// everyRound calls f for all relays in all cells in all rounds, each round beginning with another relay.
func (s *stage) everyRound(f func(c *report.Cell, name report.Relay, round int) (report.Measure, error)) error {
	for _, l := range s.loads {
		s.Cells = append(s.Cells, report.Cell{Load: l})
	}
	for round := range s.rounds {
		for i := range s.Cells {
			c := &s.Cells[i]
			c.Rounds = append(c.Rounds, map[report.Relay]report.Measure{})
			for j := range s.Relays {
				name := s.Relays[(round+j)%len(s.Relays)]
				m, err := f(c, name, round)
				if err != nil {
					return fmt.Errorf("%s, %s, round %d: %w", name, c.Load, round+1, err)
				}
				c.Rounds[round][name] = m
			}
		}
	}
	return nil
}

func (s *stage) measureAll(ctx context.Context) error {
	for _, name := range s.Relays {
		r, err := s.spawn(ctx, name, s.brokers)
		if err != nil {
			return err
		}
		s.relays = append(s.relays, r)
		if err := r.ready(ctx); err != nil {
			return err
		}
	}
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	err := s.everyRound(func(c *report.Cell, name report.Relay, round int) (report.Measure, error) {
		return s.measure(ctx, s.relays[slices.Index(s.Relays, name)], c.Load, round)
	})
	if err != nil {
		return err
	}
	for _, r := range s.relays {
		if err := s.addUp(ctx, r); err != nil {
			return fmt.Errorf("add up %s: %w", r.name, err)
		}
		s.Sums = append(s.Sums, r.sum)
	}
	return nil
}

// warmUp puts load on the relays in turn, so that the broker has handled all of them.
func (s *stage) warmUp(ctx context.Context) error {
	if s.warm == 0 {
		return nil
	}
	s.say("%s: warming up for %v", s.Title, s.warm)
	turns := []int{64, 256}
	each := s.warm / time.Duration(len(turns)*len(s.relays))
	for _, callers := range turns {
		for _, r := range s.relays {
			g, err := load.Dial(ctx, load.Target{Addr: r.addr}, callers)
			if err != nil {
				return err
			}
			r.add(g.Closed(ctx, each))
			g.Close()
		}
	}
	return ctx.Err()
}

// add adds the counts of a sample.
func (r *relay) add(s load.Sample) {
	r.sum.OK += s.OK
	r.sum.Failed += s.Failed
}

// measure loads one relay once.
func (s *stage) measure(ctx context.Context, r *relay, l report.Load, round int) (m report.Measure, err error) {
	conns := l.Callers
	if conns == 0 {
		conns = openConns
	}
	g, err := load.Dial(ctx, load.Target{Addr: r.addr, Gzip: l.Gzip}, conns)
	if err != nil {
		return m, err
	}
	defer g.Close()
	before, err := r.process.CPU()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return m, err
	}
	warm, err := s.load(ctx, g, l, s.plan.warm, 0)
	if err != nil {
		return m, err
	}
	r.add(warm)
	sample, err := s.load(ctx, g, l, s.each, uint64(round)+1)
	if err != nil {
		return m, err
	}
	r.add(sample)
	m.P50, m.P99 = load.Percentile(sample.Latencies, 0.50), load.Percentile(sample.Latencies, 0.99)
	if l.Callers > 0 {
		m.PerSecond = sample.PerSecond()
	}
	// The telemetry of these requests is sent later, and its cost belongs to them.
	if _, err := r.telemetry(ctx); err != nil {
		return m, err
	}
	if s.trim {
		if err := trim(ctx, s.client, r.topic); err != nil {
			return m, err
		}
	}
	if after, err := r.process.CPU(); err == nil {
		m.CPU = (after - before) / time.Duration(max(warm.OK+sample.OK, 1))
	}
	s.say("%-17s  %-16s  round %d of %d  %-23s  %6.0f/s  p50 %-9v  p99 %-9v  %v of processor each, %d failed (%v)",
		s.Title, l, round+1, s.rounds, r.name, sample.PerSecond(), m.P50.Round(10*time.Microsecond), m.P99.Round(10*time.Microsecond),
		m.CPU.Round(100*time.Nanosecond), sample.Failed, sample.Failure)
	return m, nil
}

// load puts load on a relay for the time d. The seed chooses the arrivals of an open loop.
func (s *stage) load(ctx context.Context, g *load.Generator, l report.Load, d time.Duration, seed uint64) (sample load.Sample, err error) {
	if l.Callers > 0 {
		sample = g.Closed(ctx, d)
	} else {
		sample, err = g.Open(ctx, load.Poisson(float64(l.Rate), d, seed))
	}
	return sample, errors.Join(err, ctx.Err())
}

// telemetry returns how many items have arrived: as soon as all have, or after a time that is long enough for the
// items of the last second.
func (r *relay) telemetry(ctx context.Context) (int64, error) {
	if r.ingest == nil {
		return -1, nil
	}
	const patience, every = 2500 * time.Millisecond, 20 * time.Millisecond
	for start := time.Now(); ; {
		n, err := r.ingest.items()
		if err != nil || n >= int64(r.sum.OK*report.ItemsPerRequest) || time.Since(start) > patience {
			return n, err
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// addUp completes a relay's sums.
func (s *stage) addUp(ctx context.Context, r *relay) error {
	var err error
	if r.sum.Items, err = r.telemetry(ctx); err != nil {
		return err
	}
	r.sum.Peak = child.UsageOf(r.process.PID()).Peak
	if r.name == report.Bare { // it stores nothing
		return nil
	}
	r.sum.Records, err = records(ctx, s.client, r.topic)
	return err
}
