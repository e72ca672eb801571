// Package ingest sends items to Application Insights.
//
// It takes the place of the SDK's channel, and promises more: Track never waits for the network, whatever state the
// endpoint is in. An item is on its way a second after it came, or as soon as the endpoint takes it; it may arrive twice
// where an answer is lost. Memory is bounded, what does not fit is dropped and counted, and Stats accounts for every item.
// What goes wrong is told to the log and to nobody else.
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
	batchAge    = time.Second // an item goes out this long after it came: SIGKILL, with which the host ends the program, loses no more
	reportEvery = time.Minute
)

// Config says what a Sender sends where.
type Config struct {
	Connection Connection
	// Token is asked before every request for a token that is valid then; nil where the endpoint wants none. It goes to
	// confidential endpoints only.
	Token func(context.Context) (string, error)
	// Report makes an item of the counters, once a minute while there is something to tell; nil makes none.
	Report func(Stats) []byte
	// Log takes what concerns the sender itself. What is written to it must not come back as items, see IsOwn.
	Log *slog.Logger
	// Transport makes the requests; nil is one of the sender's own.
	Transport http.RoundTripper
}

// Sender sends items. Its methods may be called by any goroutine at any time.
type Sender struct {
	poster   *poster
	courier  courier
	reporter reporter
	minute   *time.Ticker

	wake     chan struct{} // holds a value when the queue has news
	stopping chan struct{} // closed by Close
	stopped  chan struct{} // closed when the sender's goroutine has ended
	cancel   context.CancelFunc

	mu     sync.Mutex
	closed bool
	queue  queue
	stats  Stats
}

// New returns a Sender that is at work until Close.
func New(c Config) *Sender {
	endpoint, err := url.Parse(c.Connection.Endpoint)
	if err != nil {
		endpoint = &url.URL{} // ParseConnection makes no such; every request fails, and is told of
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

// Track takes an item, a line of JSON without a line feed in it. The line is the caller's again afterwards.
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

// drop counts items that are given up. The caller holds mu.
func (s *Sender) drop(n int, reason string) {
	s.stats.Pending -= int64(n)
	s.stats.Dropped += int64(n)
	s.stats.Reason = reason
}

// Stats returns the counters as they are now.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// run sends items until the sender is closed and nothing is left, or a batch fails after that, or ctx ends. One request
// at a time is enough: with 1,000 items in each they take what a component may be sent at all.
func (s *Sender) run(ctx context.Context) {
	var due <-chan time.Time // since the first of the items that wait; nil where none do
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

// since is when the first of the items came that wait for more; zero where none do.
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

// Close sends what waits, and returns when that is done or the time is up; what is not sent then is counted as dropped.
// A batch that fails is not tried again. Close may be called more than once, and by several goroutines.
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

// finish accounts for what is left.
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

// own marks what the sender itself writes to the log. An item about items that cannot be sent would be one more of them.
func own(ctx context.Context) context.Context { return context.WithValue(ctx, ownKey{}, true) }

// IsOwn says whether a record is the sender's: no item may be made of it.
func IsOwn(ctx context.Context) bool { return ctx.Value(ownKey{}) != nil }
