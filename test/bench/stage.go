package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/test/bench/report"
	"userrelay/test/child"
	"userrelay/test/load"
)

const (
	openConns = 512                    // of an open loop; the relays that are worth it need a tenth of them
	warm      = 200 * time.Millisecond // before each measurement
)

// stage measures relays with a broker that has their topics.
type stage struct {
	*bench
	report.Stage
	rounds int
	extra  int           // rounds before them that warm up the broker and do not count
	delay  time.Duration // of the broker's answers

	brokers []string
	relays  map[report.Relay]*relay // that run; none in a stage of starts
	client  *kgo.Client             // another one than the relays'
}

// run starts broker and relays, measures all cells in all rounds, counts, and stops them.
func (s *stage) run(ctx context.Context) (err error) {
	var topics []string
	for _, name := range s.Relays {
		topics = append(topics, topicOf(name))
	}
	start := s.kfake
	if s.ID == report.Apache {
		start = s.apache
	}
	var stop func() error
	if s.brokers, stop, err = start(ctx, topics); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if s.client, err = kgo.NewClient(kgo.SeedBrokers(s.brokers...)); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer s.client.Close()
	defer func() {
		for _, r := range s.relays {
			err = errors.Join(err, r.stop())
		}
	}()
	s.relays, s.Sums = map[report.Relay]*relay{}, map[report.Relay]report.Sum{}
	for _, name := range s.Relays {
		if s.ID == report.Cold { // each start is a measurement
			break
		}
		r, err := s.launch(ctx, name, s.brokers)
		if err != nil {
			return err
		}
		s.relays[name] = r
	}
	for round := range s.extra + s.rounds {
		for i := range s.Cells {
			if err := s.measureCell(ctx, &s.Cells[i], round); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureCell measures all relays once. Each round begins with another one.
func (s *stage) measureCell(ctx context.Context, c *report.Cell, round int) error {
	results := map[report.Relay]report.Measure{}
	for i := range s.Relays {
		name := s.Relays[(round+i)%len(s.Relays)]
		var m report.Measure
		var err error
		if s.ID == report.Cold {
			m, err = s.cold(ctx, name)
		} else {
			m, err = s.measure(ctx, s.relays[name], c.Load, round)
		}
		if err != nil {
			return fmt.Errorf("%s, %s, round %d: %w", name, c.Load, round+1, err)
		}
		s.say("%-17s  %-16s  round %d of %d  %-23s  %s", s.Title, c.Load, round+1, s.extra+s.rounds, name, m)
		results[name] = m
	}
	if round >= s.extra {
		c.Rounds = append(c.Rounds, results)
	}
	return nil
}

// cold measures the time from the start of a relay's process to the first answer 200.
func (s *stage) cold(ctx context.Context, name report.Relay) (report.Measure, error) {
	start := time.Now()
	r, err := s.launch(ctx, name, s.brokers)
	if err != nil {
		return nil, err
	}
	return report.Measure{report.First: time.Since(start).Seconds() * 1e3}, r.stop()
}

// measure loads one relay once.
func (s *stage) measure(ctx context.Context, r *relay, l report.Load, round int) (report.Measure, error) {
	g, err := load.Dial(ctx, load.Target{Addr: r.addr, Gzip: l.Gzip}, cmp.Or(l.Callers, openConns))
	if err != nil {
		return nil, err
	}
	defer g.Close()
	before, unknown := r.process.CPU()
	warmed, err := s.load(ctx, r, g, l, min(warm, s.each/4), 0)
	if err != nil {
		return nil, err
	}
	length := s.each
	if l.Rate > 0 {
		length *= 2
	}
	sample, err := s.load(ctx, r, g, l, length, uint64(round)+1)
	if err != nil {
		return nil, err
	}
	m := report.Measure{
		report.P50: load.Percentile(sample.Latencies, 0.50).Seconds() * 1e3, report.P99: load.Percentile(sample.Latencies, 0.99).Seconds() * 1e3,
	}
	if l.Callers > 0 {
		m[report.PerSecond] = sample.PerSecond()
	}
	// The telemetry of these requests is sent later, and its cost belongs to them.
	if err := s.addUp(ctx, r); err != nil {
		return nil, err
	}
	if after, err := r.process.CPU(); err == nil && unknown == nil {
		m[report.CPU] = (after - before).Seconds() * 1e6 / float64(max(warmed.OK+sample.OK, 1))
	}
	return m, nil
}

// load puts load on a relay for the time d. The seed chooses the arrivals of an open loop.
func (s *stage) load(ctx context.Context, r *relay, g *load.Generator, l report.Load, d time.Duration, seed uint64) (sample load.Sample, err error) {
	var times iter.Seq[time.Duration] // none in a closed loop
	if l.Rate > 0 {
		times = load.Poisson(float64(l.Rate), d, seed)
	}
	sample, err = g.Run(ctx, d, times)
	if sample.Failure != nil {
		s.say("%s, %s: %d failed, the first with: %v", r.name, l, sample.Failed, sample.Failure)
	}
	r.sum.OK += sample.OK
	r.sum.Failed += sample.Failed
	return sample, errors.Join(err, ctx.Err())
}

// addUp brings a relay's sums up to date, and empties its topic.
func (s *stage) addUp(ctx context.Context, r *relay) (err error) {
	r.sum.Peak = child.UsageOf(r.process.PID()).Peak
	if r.ingest != nil {
		r.sum.Items, err = r.ingest.items(int64(r.sum.OK * report.ItemsPerRequest))
	}
	if r.name != report.Bare && err == nil { // which stores nothing
		r.sum.Records, err = s.empty(ctx, r.topic)
	}
	s.Sums[r.name] = r.sum
	return err
}
