package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"userrelay/test/bench/report"
	"userrelay/test/child"
	"userrelay/test/load"
)

// bench is a run of the benchmark.
type bench struct {
	plan      plan
	dir       string // of the programs
	root      string // of the module
	kafkaHome string // "" where there is none
	against   string // another build of the handler, "" for none
	progress  io.Writer
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...) // a run must not fail because of the progress output
}

// openConns are the connections of an open loop. The relays that are worth it need a tenth of them.
const openConns = 512

// stage measures relays with a running broker that has their topics.
type stage struct {
	*bench
	report.Stage
	brokers []string
	loads   []report.Load
	rounds  int
	each    time.Duration // length of a measurement
	warm    time.Duration // before the first round, all relays together
	trim    bool          // empty the topics between measurements

	relays []*relay
	topics *counted
}

// addBuild adds the other build of the handler if ours is measured.
func (s *stage) addBuild() {
	if s.against != "" && slices.Contains(s.Relays, report.Ours) {
		s.Relays = append(s.Relays, report.Before)
	}
}

// run starts the relays, measures all cells in all rounds, counts, and stops the relays.
func (s *stage) run(ctx context.Context) (report.Stage, error) {
	var err error
	if s.topics, err = newCounted(s.brokers); err != nil {
		return s.Stage, err
	}
	defer s.topics.close()
	err = s.measureAll(ctx)
	for _, r := range s.relays {
		err = errors.Join(err, r.stop())
	}
	return s.Stage, err
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
	for _, l := range s.loads {
		s.Cells = append(s.Cells, report.Cell{Load: l})
	}
	for round := range s.rounds {
		for i := range s.Cells {
			c := &s.Cells[i]
			c.Rounds = append(c.Rounds, map[report.Relay]report.Measure{})
			for j := range s.relays {
				r := s.relays[(round+j)%len(s.relays)]
				if r.name == report.Defaults && round > 0 {
					continue // an answer takes a second, in every round
				}
				m, err := s.measure(ctx, r, c.Load, round)
				if err != nil {
					return fmt.Errorf("%s, %s, round %d: %w", r.name, c.Load, round+1, err)
				}
				c.Rounds[round][r.name] = m
			}
		}
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
	var warm load.Sample
	each := s.plan.slow
	if r.name != report.Defaults {
		each = s.each
		if warm, err = s.load(ctx, g, l, s.plan.warm, 0); err != nil {
			return m, err
		}
	}
	r.add(warm)
	sample, err := s.load(ctx, g, l, each, uint64(round)+1)
	if err != nil {
		return m, err
	}
	r.add(sample)
	m = report.Measure{
		PerSecond: sample.PerSecond(),
		P50:       load.Percentile(sample.Latencies, 0.50),
		P99:       load.Percentile(sample.Latencies, 0.99),
	}
	// The telemetry of these requests is sent later, and its cost belongs to them.
	if err := s.settle(ctx, r); err != nil {
		return m, err
	}
	if after, err := r.process.CPU(); err == nil {
		m.CPU = (after - before) / time.Duration(max(warm.OK+sample.OK, 1))
	}
	s.say("%-17s  %-16s  round %d of %d  %-23s  %6.0f/s  p50 %-9v  p99 %-9v  %v of processor each%s",
		s.Title, l, round+1, s.rounds, r.name, m.PerSecond, m.P50.Round(10*time.Microsecond), m.P99.Round(10*time.Microsecond),
		m.CPU.Round(100*time.Nanosecond), failures(sample))
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

func failures(s load.Sample) string {
	if s.Failed == 0 {
		return ""
	}
	return fmt.Sprintf(", %d FAILED, the first: %v", s.Failed, s.Failure)
}

// settle waits for remaining work of a measurement that would disturb the next one.
func (s *stage) settle(ctx context.Context, r *relay) error {
	if _, err := r.telemetry(ctx); err != nil {
		return err
	}
	if s.trim && r.topic != "" {
		return s.topics.trim(ctx, r.topic)
	}
	return nil
}

// telemetry returns how many items have arrived: as soon as all have, or after a time that is long enough for the
// items of the last second.
func (r *relay) telemetry(ctx context.Context) (int64, error) {
	if r.ingest == nil {
		return -1, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	const patience, every = 2500 * time.Millisecond, 20 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for start := time.Now(); ; {
		n, err := r.ingest.items(ctx)
		if err != nil || n >= int64(r.sum.OK*report.ItemsPerRequest) || time.Since(start) > patience {
			return n, err
		}
		select {
		case <-tick.C:
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
	r.sum.Peak = int64(child.UsageOf(r.process.PID()).Peak * (1 << 20))
	if r.topic == "" {
		return nil
	}
	r.sum.Records, err = s.topics.records(ctx, r.topic)
	return err
}
