package insights

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"
)

const (
	batchAge    = time.Second // an item goes out this long after it came: SIGKILL, with which the host ends the program, loses no more
	packAt      = 500         // items that wait are packed without waiting for more
	chunkItems  = 64          // are packed at a time
	chunkBytes  = 64 << 10    // or as many items as make this much
	reportEvery = time.Minute
)

// Sink takes items. Track neither blocks nor fails.
type Sink interface {
	Track(item appinsights.Telemetry)
}

// SenderConfig says what a Sender sends where.
type SenderConfig struct {
	Connection Connection
	// Token is asked before every request; nil where the endpoint wants no tokens. They go to confidential endpoints only.
	Token TokenSource
	// Role and Instance are the node on the application map, Version is the program's.
	Role, Instance, Version string
	// Log takes what concerns the sender itself. What is written to it must not come back as items.
	Log *slog.Logger
	// Transport makes the requests; nil is one of the sender's own.
	Transport http.RoundTripper
}

// Sender sends items to Application Insights.
//
// It takes the place of the SDK's channel, and promises more: Track never waits for the network, whatever state the
// endpoint is in, and may be called by any goroutine at any time. An item is on its way a second after it came, or as
// soon as the endpoint takes it; it may arrive twice where an answer is lost. Memory is bounded (see maxBacklog), what
// does not fit is dropped and counted, and Stats accounts for every item. What goes wrong is told to the log and to
// nobody else.
type Sender struct {
	envelopes envelopes
	quick     quick
	backlog   *backlog
	poster    *poster
	courier   courier
	reporter  reporter

	wake     chan struct{} // holds a value when there is something to pack, or room for it
	stopping chan struct{} // closed by Close
	stopped  chan struct{} // closed when the sender's goroutines have ended
	cancel   context.CancelFunc

	hand, spare []entry // items that are being packed, and room for the next; the packer's
	scratch     []byte  // lines of the packer's

	mu      sync.Mutex
	closed  bool
	queue   []entry
	waiting int   // items in queue and hand
	bytes   int   // that they hold in memory
	packed  int   // items that are packed and not settled
	stats   Stats // but for Pending
}

// entry is an item in the queue: a record, or another item as JSON.
type entry struct {
	record *record
	line   []byte
	size   int
}

// NewSender returns a Sender that is at work until Close.
func NewSender(c SenderConfig) *Sender {
	endpoint, err := url.Parse(c.Connection.Endpoint)
	if err != nil {
		endpoint = &url.URL{} // ParseConnection makes no such; every request fails, and is told of
	}
	ctx, cancel := context.WithCancel(ownDiagnostics(context.Background()))
	envelopes := newEnvelopes(c.Connection.InstrumentationKey, c.Role, c.Instance, c.Version)
	s := &Sender{
		envelopes: envelopes,
		quick:     newQuick(envelopes),
		backlog:   newBacklog(),
		poster:    newPoster(endpoint, c.Token, c.Transport),
		courier:   courier{log: c.Log, told: map[string]time.Time{}},
		reporter:  reporter{log: c.Log},
		wake:      make(chan struct{}, 1),
		stopping:  make(chan struct{}),
		stopped:   make(chan struct{}),
		cancel:    cancel,
	}
	var both sync.WaitGroup
	both.Go(func() { s.packing(ctx) })
	both.Go(func() { s.posting(ctx) })
	go func() {
		both.Wait()
		s.finish(ctx)
		close(s.stopped)
	}()
	return s
}

// Track takes an item. One of the SDK may be changed by its maker afterwards: it is made into JSON at once.
func (s *Sender) Track(item appinsights.Telemetry) {
	e, n, err := s.entry(item)
	s.mu.Lock()
	s.stats.Tracked++
	s.stats.Cut += n.cut
	s.stats.NotNumbers += n.notNumbers
	wake := false
	switch {
	case s.closed:
		s.stats.Dropped.Closed++
	case err != nil:
		s.stats.Dropped.Invalid++
	case s.waiting == maxQueue || s.bytes+e.size > maxQueueBytes:
		s.stats.Dropped.Full++
	default:
		s.queue = append(s.queue, e)
		s.waiting++
		s.bytes += e.size
		wake = s.waiting == 1 || s.waiting%packAt == 0
	}
	s.mu.Unlock()
	if wake {
		s.signal()
	}
}

func (s *Sender) entry(item appinsights.Telemetry) (entry, notes, error) {
	if r, ok := item.(*record); ok {
		return entry{record: r, size: r.size()}, notes{}, nil
	}
	line, n, err := s.envelopes.line(nil, item)
	return entry{line: line, size: len(line)}, n, err
}

func (s *Sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Stats returns the counters as they are now.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Pending = int64(s.waiting + s.packed)
	return st
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
	s.poster.closeIdle()
	s.mu.Lock()
	s.stats.Dropped.Closed += int64(s.waiting + s.packed)
	s.waiting, s.packed, s.queue = 0, 0, nil
	s.mu.Unlock()
	s.reporter.warn(ctx, s.Stats())
}

// settle counts items whose fate is known.
func (s *Sender) settle(n int, counter *int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packed -= n
	*counter += int64(n)
}
