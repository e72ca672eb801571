package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"userrelay/test/child"
	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
)

const (
	outageRate = 200 // requests a second
	// The handler answers within 4 s. The rest is for the host, and because everything shares the machine's
	// processors.
	slowestAnswer = 4500 * time.Millisecond
	drainedWithin = 2 * time.Minute
	// The limit for an answer that did not wait for Kafka, which would take 2 s.
	direct = time.Second
)

// Permitted growth. In addition to a connection of each caller the handler keeps up to 64 to the queue and 16 to a
// broker. Blocking system calls create threads, which stay.
const (
	moreMiB     = 20
	moreFiles   = 100
	moreThreads = 20
)

// away makes something unavailable for a time, with time before and after, and returns when it was gone.
func (s *stand) away(ctx context.Context, down, up func() error, length time.Duration) (gone, back time.Time, err error) {
	if err := errors.Join(pause(ctx, s.plan.before), down()); err != nil {
		return gone, back, err
	}
	gone = time.Now()
	s.say("  gone after %d events answered 2xx", s.stored.Load())
	if err := errors.Join(pause(ctx, length), up()); err != nil {
		return gone, back, err
	}
	back = time.Now()
	s.say("  back, %d events answered 2xx", s.stored.Load())
	return gone, back, pause(ctx, s.plan.before)
}

// outage stops the only broker for a long time.
func outage(ctx context.Context, s *stand, row *report.Row) error {
	var gone, back time.Time
	err := s.atRate(ctx, outageRate, func(ctx context.Context) (err error) {
		gone, back, err = s.away(ctx, s.broker().Kill, func() error { return s.broker().Restart(ctx) }, s.plan.outage)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.bridged(ctx, row, drainedWithin, 0); err != nil {
		return err
	}
	drained := time.Since(back)
	opened := firstDirect(s.since(gone, back))
	during := s.since(opened, back)
	row.Time("median answer after the breaker opened", audit.Percentile(during, 0.5), 20*time.Millisecond)
	row.Time("first 200 after the broker was back", firstOK(s.since(gone, time.Now()), back), 2*time.Second)
	row.Time("outbox empty after the broker was back", drained, drainedWithin)
	row.Note("The broker was away for %s. The breaker opened %s after the kill: the first answer in less than %s came to an event of then. 99 %% of the answers after that came in %s.",
		report.Span(back.Sub(gone)), report.Span(opened.Sub(gone)), report.Span(direct), report.Span(audit.Percentile(during, 0.99)))
	return nil
}

// firstDirect returns when the first event was due that went to the outbox without waiting for Kafka.
func firstDirect(outcomes []audit.Outcome) time.Time {
	outcomes = slices.DeleteFunc(outcomes, func(o audit.Outcome) bool { return o.Status != http.StatusAccepted || o.Took >= direct })
	if len(outcomes) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(outcomes, func(a, b audit.Outcome) int { return a.Start.Compare(b.Start) }).Start
}

// firstOK returns the time from the broker's restart to the first answer 200.
func firstOK(outcomes []audit.Outcome, back time.Time) time.Duration {
	first := 24 * time.Hour // never
	for _, o := range outcomes {
		if o.Status == http.StatusOK {
			first = min(first, max(0, o.Start.Add(o.Took).Sub(back)))
		}
	}
	return first
}

// halted stops the broker's process for a while.
func halted(ctx context.Context, s *stand, row *report.Row) error {
	err := s.during(ctx, s.plan.callers, func(ctx context.Context) error {
		_, _, err := s.away(ctx, s.broker().Pause, s.broker().Resume, s.plan.halt)
		return err
	})
	if err != nil {
		return err
	}
	return s.bridged(ctx, row, s.plan.drain, 0)
}

// allDown makes Kafka and the queue unavailable: first they do not answer, then nothing listens.
func allDown(ctx context.Context, s *stand, row *report.Row) error {
	if err := s.during(ctx, s.plan.callers, func(ctx context.Context) error { return pause(ctx, s.plan.before) }); err != nil {
		return err
	}
	before := child.UsageOf(s.pid())
	// A halted queue later stores the unread requests, and messages in doubt stay invisible for 90 s. A short run does
	// not wait for that.
	if !s.short {
		halts := func() error { return errors.Join(s.broker().Pause(), s.queue.process.Halt()) }
		resumes := func() error { return errors.Join(s.queue.process.Resume(), s.broker().Resume()) }
		if err := s.refused(ctx, row, "halted", before, halts, resumes); err != nil {
			return err
		}
	}
	kills := func() error { return errors.Join(s.broker().Kill(), s.queue.process.Kill()) }
	revives := func() error { return errors.Join(s.queue.start(), s.broker().Restart(ctx)) }
	if err := s.refused(ctx, row, "gone", before, kills, revives); err != nil {
		return err
	}
	if err := s.audit(ctx, row, s.plan.drain); err != nil {
		return err
	}
	row.Note("Copies: %d. They are of events that were answered 503: Kafka, or the queue, or both had them lying unread when they were halted.", row.Sum.Copies)
	return nil
}

// refused sends events while nothing can be stored, and waits until events are stored again.
func (s *stand) refused(ctx context.Context, row *report.Row, how string, before child.Usage, down, up func() error) error {
	if err := down(); err != nil {
		return errors.Join(err, up())
	}
	s.say("  Kafka and queue are %s", how)
	from := time.Now()
	err := s.during(ctx, s.plan.callers, func(ctx context.Context) error { return pause(ctx, s.plan.halt) })
	during, after := s.since(from, time.Now()), child.UsageOf(s.pid())
	if err = errors.Join(err, up()); err != nil {
		return err
	}
	back := time.Now()
	s.say("  Kafka and queue are back")
	wrong := slices.DeleteFunc(slices.Clone(during), func(o audit.Outcome) bool {
		return o.Status == http.StatusServiceUnavailable && o.RetryAfter
	})
	row.AtLeast(how+": answers", len(during), 1)
	row.Count(how+": of these not 503 with Retry-After", len(wrong), 0)
	row.Time(how+": slowest answer", audit.Percentile(during, 1), slowestAnswer)
	flat(row, how, before, after)
	err = poll(ctx, "wait for an answer 200", func(ctx context.Context) bool { return s.send(ctx, time.Now()).Status == http.StatusOK })
	row.Note("%s: %d answers, half of them in %s. The first 200 came %s after Kafka and the queue were back.",
		how, len(during), report.Span(audit.Percentile(during, 0.5)), report.Span(time.Since(back)))
	return err
}

// flat checks that the handler has not grown by more than the limits.
func flat(row *report.Row, what string, before, after child.Usage) {
	row.Note("%s: the handler had %s before, %s after.", what, before, after)
	if before.Known && after.Known {
		row.Size(what+": more memory", max(0, after.MiB-before.MiB), moreMiB)
		row.Count(what+": more descriptors", max(0, after.Files-before.Files), moreFiles)
		row.Count(what+": more threads", max(0, after.Threads-before.Threads), moreThreads)
	}
}
