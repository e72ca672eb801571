package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/drill/report"
)

const (
	kafkaSession = 9 * time.Second  // broker.session.timeout.ms, Kafka's default
	leaderless   = 15 * time.Second // after the kill of a leader, until its session has ended and all clients continue
	leaderKills  = 2
)

// leaderKilled kills the leader of a partition under load, together with a control that cannot delete messages
// and is killed before they show.
func leaderKilled(ctx context.Context, r *rig, row *report.Row) (err error) {
	r.say("  starting three brokers")
	cluster, err := realkafka.Start(ctx, realkafka.Options{Home: r.kafkaHome, Nodes: 3, SessionTimeout: kafkaSession})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }() //nolint:contextcheck // it must end when ctx has
	other, err := r.startQueue(ctx, "outbox-of-the-control")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.close()) }()
	proxy, err := startRefusing(ctx, other.addr, other.connection)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.close()) }()

	s, err := r.stand(ctx, standOptions{cluster: cluster})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	c, err := r.stand(ctx, standOptions{cluster: cluster, queue: other, storage: proxy.storage})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(ctx)) }()

	err = s.load.during(ctx, r.plan.callers/2, func(ctx context.Context) error {
		return c.load.during(ctx, r.plan.callers/2, func(ctx context.Context) error { return r.killLeaders(ctx, s) })
	})
	if err != nil {
		return err
	}
	// A handler that goes on recognises its messages when they show, and deletes them: the control must have forgotten them.
	if err := c.kill(ctx); err != nil {
		return err
	}
	rep, err := s.audit(ctx, row, s.load, r.plan.drain)
	if err != nil {
		return err
	}
	row.Count("events not answered 2xx", rep.Not2xx(), 0)
	row.Count("copies, 1 in 10,000 at most", rep.Copies, rep.Stored/10_000)
	of := *row // only the copies of the control matter
	controlled, err := c.audit(ctx, &of, c.load, r.plan.drain)
	if err != nil {
		return err
	}
	row.Count("control: lost", len(controlled.Lost), 0)
	row.MustShow("control: copies", controlled.Copies)
	row.Note("The control was refused %d messages that it wanted to take back: %s.", proxy.count(), &controlled)
	return nil
}

// killLeaders kills the leader of a partition of the stand's topic and starts it again.
func (r *rig) killLeaders(ctx context.Context, s *stand) error {
	for n := range leaderKills {
		if err := pause(ctx, r.plan.before); err != nil {
			return err
		}
		leader, err := s.cluster.Leader(ctx, s.topic, n%partitions)
		if err != nil {
			return err
		}
		if err := killBroker(ctx, leader, n%2 == 1); err != nil {
			return err
		}
		r.say("  broker %d killed, the leader of partition %d, after %d events answered 2xx", leader.ID(), n%partitions, s.load.stored.Load())
		if err := pause(ctx, leaderless); err != nil {
			return err
		}
		if err := leader.Restart(ctx); err != nil {
			return fmt.Errorf("start broker %d again: %w", leader.ID(), err)
		}
		if err := s.cluster.WaitInSync(ctx, s.topic); err != nil {
			return err
		}
		r.say("  broker %d back and in sync, %d events answered 2xx", leader.ID(), s.load.stored.Load())
	}
	return pause(ctx, r.plan.before)
}
