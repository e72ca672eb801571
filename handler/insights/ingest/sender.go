// Package ingest sends items to Application Insights.
//
// It replaces the SDK's channel, and promises more: Track never waits for the network, whatever state the endpoint is
// in. An item is sent within a second, or as soon as the endpoint accepts it; it may arrive twice if an answer is
// lost. Memory is limited: items that do not fit are dropped and counted, and Stats accounts for every item. Failures
// are logged and reported in no other way.
package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	batchAge    = time.Second // an item is sent this long after Track: SIGKILL, with which the host ends the program, loses no more than that
	reportEvery = time.Minute
)

// Config is the configuration of a Sender.
type Config struct {
	Connection Connection
	// Token is called before every request and returns a valid token; nil if the endpoint needs none. Tokens are sent
	// to confidential endpoints only.
	Token func(context.Context) (string, error)
	// Report turns the counters into an item, once a minute while they change; nil: no such item.
	Report func(Stats) []byte
	// Log is for messages about the sender itself. They must not become items, see IsOwn.
	Log *slog.Logger
	// Transport makes the requests; nil: the sender creates one.
	Transport http.RoundTripper
}

// Sender sends items. Its methods may be called by any goroutine at any time.
type Sender struct {
	poster   *poster
	courier  courier
	reporter reporter
	minute   *time.Ticker

	wake     chan struct{} // holds a value when the queue has changed
	stopping chan struct{} // closed by Close
	stopped  chan struct{} // closed when the sender's goroutine has ended
	cancel   context.CancelFunc

	mu     sync.Mutex
	closed bool
	queue  queue
	stats  Stats
}

// New returns a Sender that runs until Close.
func New(c Config) *Sender {
	endpoint, err := url.Parse(c.Connection.Endpoint)
	if err != nil {
		endpoint = &url.URL{} // ParseConnection never returns such a URL; every request fails and is logged
	}
	ctx, cancel := context.WithCancel(own(context.Background()))
	s := &Sender{
		poster:   newPoster(endpoint, c.Token, c.Transport),
		courier:  courier{log: c.Log, told: map[string]time.Time{}},
		reporter: reporter{log: c.Log, item: c.Report},
		minute:   time.NewTicker(reportEvery),
		wake:     make(chan struct{}, 1),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
		cancel:   cancel,
	}
	go func() {
		defer close(s.stopped)
		s.run(ctx)
		s.finish(ctx)
	}()
	return s
}

// Track accepts an item, a line of JSON without a line feed. The caller may reuse the line afterwards.
func (s *Sender) Track(line []byte) {
	s.mu.Lock()
	s.stats.Tracked++
	s.stats.Pending++
	news := false
	switch {
	case s.closed:
		s.drop(1, reasonClosed)
	case len(line) > maxItem:
		s.drop(1, reasonTooLarge)
	case !s.queue.room(line):
		s.drop(1, reasonFull)
	default:
		news = s.queue.add(line)
	}
	s.mu.Unlock()
	if news {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// drop counts dropped items. The caller holds mu.
func (s *Sender) drop(n int, reason string) {
	s.stats.Pending -= int64(n)
	s.stats.Dropped += int64(n)
	s.stats.Reason = reason
}

// Stats returns the current counters.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// run sends items until the sender is closed and none are left, or a batch fails after that, or ctx ends. One request
// at a time is enough: with 1,000 items in each, they reach the limit of what a component accepts.
func (s *Sender) run(ctx context.Context) {
	var due <-chan time.Time // since the first of the waiting items; nil if none wait
	for {
		select {
		case <-s.wake:
			if since := s.since(); due == nil && !since.IsZero() {
				due = time.After(batchAge - time.Since(since))
			}
		case <-due:
			due = nil
			s.seal()
		case <-s.minute.C:
			s.report(ctx)
		case <-s.stopping:
			s.seal()
			s.deliverAll(ctx)
			return
		}
		if !s.deliverAll(ctx) {
			return
		}
	}
}

// since returns when the first item of the open batch arrived; zero if it has none.
func (s *Sender) since() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue.open.items == 0 {
		return time.Time{}
	}
	return s.queue.since
}

func (s *Sender) seal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.seal()
}

func (s *Sender) report(ctx context.Context) {
	st := s.Stats()
	s.reporter.warn(ctx, st)
	if line := s.reporter.line(st); line != nil {
		s.Track(line)
	}
}

// Close sends the waiting items, and returns when that is done or the time is up; the rest counts as dropped. A batch
// that fails is not tried again. Close may be called more than once, and by several goroutines.
func (s *Sender) Close(limit time.Duration) {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		close(s.stopping)
	}
	ended := time.NewTimer(limit)
	defer ended.Stop()
	giveUp := time.NewTimer(limit - limit/10)
	defer giveUp.Stop()
	for {
		select {
		case <-s.stopped:
			return
		case <-giveUp.C:
			s.cancel()
		case <-ended.C: // a transport or a token source does not heed its context
			s.cancel()
			return
		}
	}
}

// finish counts the remaining items.
func (s *Sender) finish(ctx context.Context) {
	s.cancel()
	s.minute.Stop()
	s.poster.closeIdle()
	s.mu.Lock()
	s.closed = true
	if s.stats.Pending > 0 {
		s.drop(int(s.stats.Pending), reasonClosed)
	}
	s.queue = queue{}
	s.mu.Unlock()
	s.reporter.warn(ctx, s.Stats())
}

type ownKey struct{}

// own marks the sender's own log records. An item about items that cannot be sent could not be sent either.
func own(ctx context.Context) context.Context { return context.WithValue(ctx, ownKey{}, true) }

// IsOwn says whether a record is the sender's own, which must not become an item.
func IsOwn(ctx context.Context) bool { return ctx.Value(ownKey{}) != nil }
