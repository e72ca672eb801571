package insights

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	// A batch that fails this often while others are accepted has something in it that the endpoint cannot take.
	maxStrikes  = 10
	repeatAfter = 10 * time.Minute // the same trouble is told again
)

// courier is what the sender's posting goroutine knows of the endpoint.
type courier struct {
	failures int   // since the last batch that was accepted
	accepted int64 // batches, as a whole
	log      *slog.Logger
	told     map[string]time.Time // troubles, by when they were told last
	troubled bool                 // the last that was told is trouble
}

// posting sends batches, one at a time, until the sender is closed and nothing is left, or a batch fails after that, or
// ctx ends. More at a time would not be faster: with 1,000 items in each they take what a component may be sent at all.
func (s *Sender) posting(ctx context.Context) {
	defer s.cancel() // packing need not wait for room any more
	for ctx.Err() == nil {
		b, ok, more := s.backlog.next()
		switch {
		case ok:
			pause := s.deliver(ctx, b)
			s.signal() // there may be room
			if pause > 0 && !s.rest(ctx, pause) {
				return
			}
		case !more:
			return
		default:
			select {
			case <-s.backlog.ready:
			case <-ctx.Done():
			}
		}
	}
}

// rest waits after a failure. It is false when there is no time for another try.
func (s *Sender) rest(ctx context.Context, pause time.Duration) bool {
	select {
	case <-s.stopping:
		return false
	default:
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stopping: // one more try
		return true
	case <-ctx.Done():
		return false
	}
}

// deliver sends a batch once and deals with the answer. It returns how long to rest.
func (s *Sender) deliver(ctx context.Context, b batch) time.Duration {
	a, err := s.poster.post(ctx, b.body)
	s.countPosts(err, a)
	if err != nil {
		s.backlog.settle(b, b)
		if ctx.Err() == nil { // it is no trouble that Close gave up
			s.courier.trouble(ctx, slog.LevelWarn, slog.String("reason", why(err)))
		}
		return s.courier.backoff(0)
	}
	f := a.fate()
	switch f {
	case accepted:
		s.done(b, &s.stats.Accepted)
		s.courier.success(ctx)
		return 0
	case partly:
		return s.share(ctx, b, a)
	case capped, rejected:
		s.courier.trouble(ctx, slog.LevelError, slog.Int("status", a.status)) // a person must do something
	default:
		s.courier.trouble(ctx, slog.LevelWarn, slog.Int("status", a.status))
	}
	switch f {
	case rejected:
		s.done(b, &s.stats.Rejected)
		return 0
	case halved:
		s.halve(b)
		return 0
	case capped:
		s.done(b, &s.stats.Dropped.Capped)
	default:
		s.again(b, b, a)
	}
	return s.courier.backoff(a.retryAfter)
}

// done ends a batch.
func (s *Sender) done(b batch, counter *int64) {
	s.backlog.settle(b)
	s.settle(b.items, counter)
}

// again keeps what is left of a batch for another try, unless it is what makes the batch fail.
func (s *Sender) again(b, left batch, a answer) {
	left, ok := s.courier.strike(left, a)
	if ok {
		s.backlog.settle(b, left)
		return
	}
	s.backlog.settle(b)
	s.settle(left.items, &s.stats.Dropped.Refused)
}

// share deals with an answer to a batch by item.
func (s *Sender) share(ctx context.Context, b batch, a answer) time.Duration {
	parts, ok := a.shares(b.items)
	if !ok {
		s.courier.trouble(ctx, slog.LevelWarn, slog.Int("status", a.status))
		s.done(b, &s.stats.Dropped.Unread)
		return 0
	}
	s.settle(parts.accepted, &s.stats.Accepted)
	s.settle(parts.rejected, &s.stats.Rejected)
	if parts.accepted < b.items {
		s.courier.trouble(ctx, slog.LevelWarn, slog.Int("status", a.status))
	} else {
		s.courier.success(ctx)
	}
	if len(parts.again) == 0 {
		s.backlog.settle(b)
		return 0
	}
	s.again(b, b.pick(parts.again), a)
	return s.courier.backoff(a.retryAfter)
}

// halve keeps both halves of a batch that is too large. A half that is still too large is refused.
func (s *Sender) halve(b batch) {
	if b.halved || b.items == 1 {
		s.done(b, &s.stats.Rejected)
		return
	}
	first, second := b.halves()
	s.backlog.settle(b, first, second)
}

func (s *Sender) countPosts(err error, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Posts = s.poster.posts
	if errors.Is(err, errToken) || a.fate() == authorized {
		s.stats.Unauthorized++
	}
}

// strike notes that a batch failed. It is false when that was once too often.
func (c *courier) strike(b batch, a answer) (batch, bool) {
	if a.blames() && b.accepted != c.accepted {
		b.strikes++
	}
	b.accepted = c.accepted
	return b, b.strikes < maxStrikes
}

func (c *courier) success(ctx context.Context) {
	c.failures = 0
	c.accepted++
	if c.troubled {
		c.troubled = false
		c.log.InfoContext(ctx, "Application Insights takes telemetry again")
	}
}

// backoff returns how long to rest after a failure: as long as the endpoint says, else longer each time. Some of it is
// left to chance, so that instances do not come back all at once.
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
	kind := attr.String()
	now := time.Now()
	if last, ok := c.told[kind]; ok && now.Sub(last) < repeatAfter {
		return
	}
	c.told[kind] = now
	c.troubled = true
	c.log.LogAttrs(ctx, level, "Application Insights does not take telemetry", attr)
}
