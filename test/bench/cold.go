package main

import (
	"context"
	"errors"
	"time"

	"userrelay/test/bench/report"
)

// cold measures the time from the start of a relay's process to the first answer 200.
func (b *bench) cold(ctx context.Context) (all []report.Cold, err error) {
	for _, name := range []report.Relay{report.Bare, report.Ours, report.Tuned, report.Franz} {
		all = append(all, report.Cold{Relay: name})
	}
	broker, brokers, err := b.startBroker(0, topicsOf([]report.Relay{report.Ours, report.Tuned, report.Franz}))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, broker.Stop()) }()
	for i := range b.plan.starts {
		for j := range all {
			c := &all[(i+j)%len(all)]
			d, err := b.firstAnswer(ctx, c.Relay, brokers)
			if err != nil {
				return nil, err
			}
			c.Times = append(c.Times, d)
			b.say("%-17s  start %d of %d  %-23s  %v", "Cold start", i+1, b.plan.starts, c.Relay, d.Round(100*time.Microsecond))
		}
	}
	return all, nil
}

// firstAnswer starts a relay and stops it after its first answer.
func (b *bench) firstAnswer(ctx context.Context, name report.Relay, brokers []string) (d time.Duration, err error) {
	start := time.Now()
	r, err := b.spawn(ctx, name, brokers)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := r.ready(ctx); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}
