package main

import (
	"context"
	"errors"
	"time"

	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
)

const (
	// The handler answers within 4 s. The rest is for the host, and because everything shares the machine's
	// processors.
	slowestAnswer = 4500 * time.Millisecond
	drainedWithin = 2 * time.Minute
	// The limit for an answer that did not wait for Kafka, which would take 2 s.
	direct = time.Second
)

// outage stops the only broker for a long time.
func outage(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	var gone, back time.Time
	err = s.load.atRate(ctx, r.plan.rate, func(ctx context.Context) error {
		if err := pause(ctx, r.plan.before); err != nil {
			return err
		}
		if err := r.broker().Kill(); err != nil {
			return err
		}
		gone = time.Now()
		r.say("  broker killed")
		if err := pause(ctx, r.plan.outage); err != nil {
			return err
		}
		if err := r.broker().Restart(ctx); err != nil {
			return err
		}
		back = time.Now()
		r.say("  broker back, %d events answered 2xx", s.load.stored.Load())
		return pause(ctx, r.plan.before)
	})
	if err != nil {
		return err
	}
	rep, err := s.audit(ctx, row, s.load, drainedWithin)
	if err != nil {
		return err
	}
	drained := time.Since(back)
	row.Count("events not answered 2xx", rep.Not2xx(), 0)
	row.Count("copies", rep.Copies, 0)
	row.AtLeast("events answered 202", rep.Status[202], 1)
	opened := firstDirect(s.load.since(gone, back))
	during := s.load.since(opened, back)
	row.Time("median answer after the breaker opened", audit.Percentile(during, 0.5), 20*time.Millisecond)
	row.Time("slowest answer", audit.Percentile(s.load.all(), 1), slowestAnswer)
	row.Time("first 200 after the broker was back", firstOK(s.load.all(), gone, back), 2*time.Second)
	row.Time("outbox empty after the broker was back", drained, drainedWithin)
	row.Note("The broker was away for %s. The breaker opened %s after the kill: the first answer in less than %s came to an event of then. 99 %% of the answers after that came in %s.",
		report.Span(back.Sub(gone)), report.Span(opened.Sub(gone)), report.Span(direct), report.Span(audit.Percentile(during, 0.99)))
	return nil
}

// firstDirect returns when the first event was due that went to the outbox without waiting for Kafka.
func firstDirect(outcomes []audit.Outcome) time.Time {
	var first time.Time
	for _, o := range outcomes {
		if o.Status == 202 && o.Took < direct && (first.IsZero() || o.Start.Before(first)) {
			first = o.Start
		}
	}
	return first
}

// firstOK returns the time from the broker's restart to the first answer 200 for an event that was due after the
// broker had stopped.
func firstOK(outcomes []audit.Outcome, gone, back time.Time) time.Duration {
	var first time.Time
	for _, o := range outcomes {
		if at := o.Start.Add(o.Took); o.Status == 200 && o.Start.After(gone) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if first.IsZero() {
		return 24 * time.Hour // never
	}
	return max(0, first.Sub(back))
}

// halted stops the broker's process for a while.
func halted(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	err = s.load.during(ctx, r.plan.callers, func(ctx context.Context) error {
		if err := pause(ctx, r.plan.before); err != nil {
			return err
		}
		if err := r.broker().Pause(); err != nil {
			return err
		}
		r.say("  broker halted after %d events answered 2xx", s.load.stored.Load())
		if err := errors.Join(pause(ctx, r.plan.halt), r.broker().Resume()); err != nil {
			return err
		}
		r.say("  broker goes on, %d events answered 2xx", s.load.stored.Load())
		return pause(ctx, r.plan.before)
	})
	if err != nil {
		return err
	}
	rep, err := s.audit(ctx, row, s.load, r.plan.drain)
	if err != nil {
		return err
	}
	row.Count("events not answered 2xx", rep.Not2xx(), 0)
	row.Count("copies", rep.Copies, 0)
	row.AtLeast("events answered 202", rep.Status[202], 1)
	row.Time("slowest answer", audit.Percentile(s.load.all(), 1), slowestAnswer)
	return nil
}
