package main

import (
	"context"
	"errors"
	"time"

	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
)

const (
	// A killed broker stays stopped for at least this long. It then takes some seconds to start.
	downFor = 500 * time.Millisecond
	// Messages in progress stay invisible for this long after a host has ended.
	abandoned = 10 * time.Minute
)

// brokerKilled kills the only broker under load.
func brokerKilled(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	kills := 0
	err = s.load.during(ctx, r.plan.callers, func(ctx context.Context) error {
		for ; kills < r.plan.kills || int(s.load.stored.Load()) < r.plan.events; kills++ {
			if err := errors.Join(pause(ctx, r.plan.steady), r.bounce(ctx, s, kills, false)); err != nil {
				return err
			}
		}
		return pause(ctx, r.plan.between)
	})
	if err != nil {
		return err
	}
	rep, err := s.audit(ctx, row, s.load, 2*r.plan.drain) // a third of the events may have used the outbox
	if err != nil {
		return err
	}
	row.AtLeast("events answered 2xx", rep.Stored, r.plan.events)
	row.Count("events not answered 2xx", rep.Not2xx(), 0)
	row.Count("copies", rep.Copies, 0)
	row.Time("slowest answer", audit.Percentile(s.load.all(), 1), slowestAnswer)
	row.Note("The broker was killed %d times.", kills)
	return nil
}

// bounce kills the broker, optionally also the handler, and restarts the broker.
func (r *rig) bounce(ctx context.Context, s *stand, n int, handlerToo bool) error {
	halted := n%2 == 1 || r.short
	err := killBroker(ctx, r.broker(), halted)
	if err == nil && handlerToo {
		err = s.kill(ctx)
	}
	if err != nil {
		return err
	}
	r.say("  broker killed after %d events answered 2xx", s.load.stored.Load())
	if err := pause(ctx, downFor); err != nil {
		return err
	}
	start := time.Now()
	if err := r.broker().Restart(ctx); err != nil {
		return err
	}
	r.say("  broker back %s later, %d events answered 2xx", report.Span(time.Since(start)+downFor), s.load.stored.Load())
	return nil
}

// handlerKilled kills the handler under load.
func handlerKilled(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	kills := 2 * r.plan.kills
	if r.short {
		kills = r.plan.kills
	}
	err = s.load.during(ctx, r.plan.callers, func(ctx context.Context) error {
		for range kills {
			if err := pause(ctx, r.plan.between); err != nil {
				return err
			}
			if err := s.kill(ctx); err != nil {
				return err
			}
			r.say("  handler killed after %d events answered 2xx", s.load.stored.Load())
		}
		return pause(ctx, r.plan.between)
	})
	if err != nil {
		return err
	}
	rep, err := s.audit(ctx, row, s.load, r.plan.drain+abandoned)
	if err != nil {
		return err
	}
	row.AtLeast("events answered 2xx", rep.Stored, 1)
	row.Note("Copies: %d.", rep.Copies)
	row.Note("The handler was killed %d times. The host gave up %d times, and was started again.", kills, s.timesGivenUp())
	return nil
}

// bothKilled kills broker and handler at the same moment.
func bothKilled(ctx context.Context, r *rig, row *report.Row) error {
	s, rep, err := r.killBoth(ctx, row, standOptions{})
	if err != nil {
		return err
	}
	row.AtLeast("events answered 2xx", rep.Stored, 1)
	row.Note("Copies: %d. A handler that is killed cannot take back from its outbox what Kafka turned out to have.", rep.Copies)
	return s.close(ctx)
}

// control does the same to a relay that must lose records.
func control(ctx context.Context, r *rig, row *report.Row) error {
	all := *row
	s, rep, err := r.killBoth(ctx, &all, standOptions{program: "control"})
	if err != nil {
		return err
	}
	row.Notes, row.Sum = all.Notes, all.Sum
	row.MustShow("lost", len(rep.Lost))
	return s.close(ctx)
}

// killBoth kills broker and handler, or the handler's replacement, at the same moment. If there is no error the caller
// must close the stand.
//
// It starts a new host before the third crash, at which a host gives up, because messages in progress stay invisible
// for 10 minutes after a host has ended.
func (r *rig) killBoth(ctx context.Context, row *report.Row, o standOptions) (*stand, audit.Report, error) {
	s, err := r.stand(ctx, o)
	if err != nil {
		return nil, audit.Report{}, err
	}
	err = s.load.during(ctx, r.plan.callers, func(ctx context.Context) error {
		for n := range r.plan.kills {
			if err := pause(ctx, r.plan.between); err != nil {
				return err
			}
			if n > 0 && n%2 == 0 {
				if err := s.renew(ctx); err != nil {
					return err
				}
			}
			if err := r.bounce(ctx, s, n, true); err != nil {
				return err
			}
		}
		return pause(ctx, r.plan.between)
	})
	var rep audit.Report
	if err == nil {
		rep, err = s.audit(ctx, row, s.load, r.plan.drain)
	}
	if err != nil {
		return nil, rep, errors.Join(err, s.close(ctx))
	}
	row.Note("Broker and handler were killed %d times.", r.plan.kills)
	return s, rep, nil
}
