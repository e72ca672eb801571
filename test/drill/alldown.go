package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"userrelay/test/child"
	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
)

// Permitted growth. In addition to a connection of each caller the handler keeps up to 64 to the queue and 16 to a
// broker. Blocking system calls create threads, which stay.
const (
	moreMiB     = 20
	moreFiles   = 100
	moreThreads = 20
)

// allDown makes Kafka and the queue unavailable: first they do not answer, then nothing listens.
func allDown(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	quiet := func(ctx context.Context) error { return pause(ctx, r.plan.before) }
	if err := s.load.during(ctx, r.plan.callers, quiet); err != nil {
		return err
	}
	before := child.UsageOf(s.pid())
	halts := func() error { return errors.Join(r.broker().Pause(), r.queue.process.Halt()) }
	resumes := func() error { return errors.Join(r.queue.process.Resume(), r.broker().Resume()) }
	// A halted queue later stores the unread requests, and messages in doubt stay invisible for 90 s. A short run does
	// not wait for that.
	if !r.short {
		if err := r.refused(ctx, row, s, "halted", before, halts, resumes); err != nil {
			return err
		}
	}
	kills := func() error { return errors.Join(r.broker().Kill(), r.queue.process.Kill()) }
	revives := func() error { return errors.Join(r.queue.start(), r.broker().Restart(ctx)) }
	if err := r.refused(ctx, row, s, "gone", before, kills, revives); err != nil {
		return err
	}
	rep, err := s.audit(ctx, row, s.load, r.plan.drain)
	if err != nil {
		return err
	}
	row.Note("Copies: %d. They are of events that were answered 503: Kafka, or the queue, or both had them lying unread when they were halted.", rep.Copies)
	return nil
}

// refused sends events while nothing can be stored, and waits until events are stored again.
func (r *rig) refused(ctx context.Context, row *report.Row, s *stand, how string, before child.Usage, down, up func() error) error {
	if err := down(); err != nil {
		return errors.Join(err, up())
	}
	r.say("  Kafka and queue are %s", how)
	from := time.Now()
	err := s.load.during(ctx, r.plan.callers, func(ctx context.Context) error { return pause(ctx, r.plan.down) })
	to, after := time.Now(), child.UsageOf(s.pid())
	if err = errors.Join(err, up()); err != nil {
		return err
	}
	back := time.Now()
	r.say("  Kafka and queue are back")
	during := s.load.since(from, to)
	wrong := 0
	for _, o := range during {
		if o.Status != http.StatusServiceUnavailable || !o.RetryAfter {
			wrong++
		}
	}
	row.AtLeast(how+": answers", len(during), 1)
	row.Count(how+": of these not 503 with Retry-After", wrong, 0)
	row.Time(how+": slowest answer", audit.Percentile(during, 1), slowestAnswer)
	flat(row, how, before, after, moreMiB, moreFiles, moreThreads)
	err = poll(ctx, "wait for an answer 200", readyLimit, func(ctx context.Context) (bool, error) {
		return s.load.send(ctx, time.Now()).Status == http.StatusOK, nil
	})
	if err != nil {
		return err
	}
	row.Note("%s: %d answers, half of them in %s. The first 200 came %s after Kafka and the queue were back.",
		how, len(during), report.Span(audit.Percentile(during, 0.5)), report.Span(time.Since(back)))
	return nil
}
