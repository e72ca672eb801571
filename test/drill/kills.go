package main

import (
	"context"
	"errors"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/drill/report"
)

const (
	// Between two kills of the broker alone: registrations go to Kafka again, so that the next kill interrupts them.
	steady = 12 * time.Second
	// A killed broker stays stopped for at least this long. It then takes some seconds to start.
	downFor = 500 * time.Millisecond
	// Messages in progress stay invisible for this long after a host has ended.
	abandoned = 10 * time.Minute
	// From the kill of a leader until its session has ended and all clients continue.
	leaderless  = 15 * time.Second
	leaderKills = 2
)

// kills has what a drill kills, several times.
type kills struct {
	broker, handler bool
	times           int           // at least
	until           int           // events answered 2xx, at least
	every           time.Duration // the first after this time, too
	drain           time.Duration // within which the outbox must be empty
}

// brokerKilled kills the only broker under load. A third of the events may use the outbox.
func brokerKilled(ctx context.Context, s *stand, row *report.Row) error {
	err := s.killed(ctx, row, kills{broker: true, times: s.plan.kills, until: s.plan.events, every: steady, drain: 2 * s.plan.drain})
	if err == nil {
		s.unnoticed(row, 0)
	}
	return err
}

// handlerKilled kills the handler under load.
func handlerKilled(ctx context.Context, s *stand, row *report.Row) error {
	return s.killed(ctx, row, kills{handler: true, times: 2 * s.plan.kills, until: 1, every: s.plan.between, drain: s.plan.drain + abandoned})
}

// bothKilled kills broker and handler at the same moment. A handler that is killed cannot take back from its outbox what
// Kafka turned out to have, so there may be copies.
func bothKilled(ctx context.Context, s *stand, row *report.Row) error {
	return s.killed(ctx, row, kills{broker: true, handler: true, times: s.plan.kills, until: 1, every: s.plan.between, drain: s.plan.drain})
}

// control does the same to a relay that must lose records.
func control(ctx context.Context, s *stand, row *report.Row) error {
	var all report.Row
	err := bothKilled(ctx, s, &all)
	row.Notes, row.Sum = all.Notes, all.Sum
	if err == nil {
		row.MustShow("lost", len(row.Sum.Lost))
	}
	return err
}

// killed kills under load, and audits what became of the events.
func (s *stand) killed(ctx context.Context, row *report.Row, k kills) error {
	n := 0
	err := s.during(ctx, s.plan.callers, func(ctx context.Context) error {
		for ; n < k.times || int(s.stored.Load()) < k.until; n++ {
			if err := pause(ctx, k.every); err != nil {
				return err
			}
			// A host gives up at the third crash, and messages in progress then stay invisible for 10 minutes.
			if k.broker && k.handler && n > 0 && n%2 == 0 {
				if err := s.renew(ctx); err != nil {
					return err
				}
			}
			s.say("  a kill after %d events answered 2xx", s.stored.Load())
			if err := s.killOnce(ctx, k, n%2 == 1 || s.short); err != nil {
				return err
			}
		}
		return pause(ctx, s.plan.between)
	})
	if err == nil {
		err = s.audit(ctx, row, k.drain)
	}
	if err != nil {
		return err
	}
	row.AtLeast("events answered 2xx", row.Sum.Stored, k.until)
	row.Note("Killed %d times. The host gave up %d times, and was started again.", n, s.gaveUp.Load())
	return nil
}

// killOnce kills, and starts the broker again; the host starts the handler again.
func (s *stand) killOnce(ctx context.Context, k kills, halted bool) (err error) {
	if k.broker {
		err = killBroker(ctx, s.broker(), halted)
	}
	if err == nil && k.handler {
		err = s.kill(ctx)
	}
	if err == nil && k.broker {
		err = errors.Join(pause(ctx, downFor), s.broker().Restart(ctx))
	}
	return err
}

// killBroker kills a broker, optionally after a moment in which it is halted with unread requests.
func killBroker(ctx context.Context, n *realkafka.Node, halted bool) error {
	if halted {
		if err := errors.Join(n.Pause(), pause(ctx, 200*time.Millisecond)); err != nil {
			return err
		}
	}
	return n.Kill()
}

// leaderKilled kills the leader of a partition of several brokers under load.
func leaderKilled(ctx context.Context, s *stand, row *report.Row) error {
	err := s.during(ctx, s.plan.callers, func(ctx context.Context) error {
		for n := range leaderKills {
			if err := errors.Join(pause(ctx, s.plan.before), s.killLeader(ctx, n)); err != nil {
				return err
			}
		}
		return pause(ctx, s.plan.before)
	})
	if err != nil {
		return err
	}
	return s.bridged(ctx, row, s.plan.drain, 1e-4)
}

// killLeader kills the leader of a partition and starts it again.
func (s *stand) killLeader(ctx context.Context, partition int) error {
	leader, err := s.cluster.Leader(ctx, s.topic, partition)
	if err != nil {
		return err
	}
	s.say("  a kill of broker %d, which leads partition %d, after %d events answered 2xx", leader.ID(), partition, s.stored.Load())
	if err := killBroker(ctx, leader, partition%2 == 1); err != nil {
		return err
	}
	if err := errors.Join(pause(ctx, leaderless), leader.Restart(ctx)); err != nil {
		return err
	}
	return s.cluster.WaitInSync(ctx, s.topic)
}
