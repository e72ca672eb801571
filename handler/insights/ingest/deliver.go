package ingest

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"
)

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	// A batch that fails this often while others are accepted has content that the endpoint cannot process.
	maxStrikes  = 10
	repeatAfter = 10 * time.Minute // the same trouble is logged again
)

// courier is the state of the sender's goroutine.
type courier struct {
	failures int   // since the last batch that was accepted
	accepted int64 // batches, as a whole
	log      *slog.Logger
	told     map[string]time.Time // when each trouble was logged last
	troubled bool                 // the last log line reported trouble
}

// outcome is the result of sending a batch.
type outcome struct {
	accepted, rejected, dropped int
	reason                      string  // of the rejected or dropped items
	left                        []batch // are sent again
}

// deliverAll sends all sealed batches. It returns false if the time was over before.
func (s *Sender) deliverAll(ctx context.Context) bool {
	for ctx.Err() == nil {
		s.mu.Lock()
		b, ok := s.queue.take()
		s.mu.Unlock()
		if !ok {
			return true
		}
		if pause := s.deliver(ctx, b); pause > 0 && !s.rest(ctx, pause) {
			return false
		}
	}
	return false
}

// rest waits after a failure. It returns false if there is no time for another attempt.
func (s *Sender) rest(ctx context.Context, pause time.Duration) bool {
	select {
	case <-s.stopping:
		return false
	default:
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-s.minute.C:
			s.report(ctx)
		case <-s.stopping: // one more try
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// deliver sends a batch once and handles the answer. It returns how long to wait before the next request.
func (s *Sender) deliver(ctx context.Context, b batch) time.Duration {
	a, err := s.poster.post(ctx, b.lines)
	if err != nil {
		s.back(b)
		if ctx.Err() == nil { // giving up in Close is not trouble
			s.courier.trouble(ctx, slog.LevelWarn, slog.String("reason", why(err)))
		}
		return s.courier.backoff(0)
	}
	switch f := a.fate(); f {
	case accepted:
		s.settle(b, outcome{accepted: b.items})
		s.courier.success(ctx)
		return 0
	case partly:
		return s.share(ctx, b, a)
	default:
		return s.refused(ctx, b, a, f)
	}
}

// refused handles an answer that accepts no item of a batch.
func (s *Sender) refused(ctx context.Context, b batch, a answer, f fate) time.Duration {
	level := slog.LevelWarn
	if f == capped || f == rejected {
		level = slog.LevelError // an operator must act
	}
	s.courier.trouble(ctx, level, slog.Int("status", a.status))
	switch {
	case f == halved && !b.halved && b.items > 1:
		s.settle(b, outcome{left: b.halves()})
		return 0
	case f == rejected || f == halved:
		s.settle(b, outcome{rejected: b.items, reason: a.reason()})
		return 0
	case f == capped:
		s.settle(b, outcome{dropped: b.items, reason: reasonCapped})
	case a.blames():
		s.again(b, b, outcome{})
	default:
		s.back(b)
	}
	return s.courier.backoff(a.retryAfter)
}

// share handles an answer with a status for each item.
func (s *Sender) share(ctx context.Context, b batch, a answer) time.Duration {
	again, o, ok := a.shares(b.items)
	if ok && o.accepted == b.items {
		s.courier.success(ctx)
	} else {
		s.courier.trouble(ctx, slog.LevelWarn, slog.Int("status", a.status))
	}
	if len(again) == 0 {
		s.settle(b, o)
		return 0
	}
	s.again(b, b.pick(again), o)
	return s.courier.backoff(a.retryAfter)
}

// again keeps the rest of a batch for another attempt, unless its content is the cause of the failures.
func (s *Sender) again(b, left batch, o outcome) {
	if left.accepted != s.courier.accepted {
		left.strikes++
	}
	left.accepted = s.courier.accepted
	if left.strikes < maxStrikes {
		o.left = []batch{left}
	} else {
		o.dropped, o.reason = left.items, reasonRefused
	}
	s.settle(b, o)
}

func (s *Sender) back(b batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.back(b)
}

// settle counts the results of a batch.
func (s *Sender) settle(b batch, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.settle(b, o.left)
	s.stats.Pending -= int64(o.accepted + o.rejected + o.dropped)
	s.stats.Accepted += int64(o.accepted)
	s.stats.Rejected += int64(o.rejected)
	s.stats.Dropped += int64(o.dropped)
	if o.rejected+o.dropped > 0 {
		s.stats.Reason = o.reason
	}
}

func (c *courier) success(ctx context.Context) {
	c.failures = 0
	c.accepted++
	if c.troubled {
		c.troubled = false
		c.log.InfoContext(ctx, "Application Insights accepts telemetry again")
	}
}

// backoff returns how long to wait after a failure: as long as the endpoint says, or otherwise longer each time. A
// part of it is random, so that instances do not all return at once.
func (c *courier) backoff(retryAfter time.Duration) time.Duration {
	c.failures++
	if retryAfter > 0 {
		return retryAfter + rand.N(retryAfter/10+1) //nolint:gosec // G404: chance, not a secret
	}
	d := min(firstBackoff<<min(c.failures-1, 10), maxBackoff)
	return d/2 + rand.N(d/2) //nolint:gosec // G404: chance, not a secret
}

// trouble writes a line, once for every kind and again after a while.
func (c *courier) trouble(ctx context.Context, level slog.Level, attr slog.Attr) {
	kind, now := attr.String(), time.Now()
	if last, ok := c.told[kind]; ok && now.Sub(last) < repeatAfter {
		return
	}
	c.told[kind] = now
	c.troubled = true
	c.log.LogAttrs(ctx, level, "Application Insights does not accept telemetry", attr)
}

// reason returns the text for a person about items that the answer refuses.
func (a answer) reason() string { return "status " + strconv.Itoa(a.status) }
