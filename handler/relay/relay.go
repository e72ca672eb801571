// Package relay decides where a registration goes: to Kafka; while Kafka does not accept it, to the outbox; or nowhere.
//
// It promises that Deliver returns within its time limits, and that it returns an Outcome only when the registration
// is stored durably. Drain moves messages from the outbox to Kafka.
package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// Outcome says where a registration is stored.
type Outcome struct {
	Kind     Kind
	EventID  string
	Kafka    delivery.RecordMetadata // where Kind is InKafka
	Outbox   delivery.Kept           // where Kind is InOutbox
	Replayed bool                    // an earlier request with the same event id stored it
}

// Kind says which store has a registration.
type Kind int

// The kinds. The zero value is not valid.
const (
	InKafka Kind = iota + 1
	InOutbox
)

// Times.
const (
	// A message whose record may still be stored stays hidden for longer than the producer repeats that record: 60 s
	// and one attempt of at most 25 s.
	hiddenFor = 90 * time.Second
	// Calls that no caller waits for are repeated after a pause, which doubles.
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// The largest number of concurrent calls of the queue that no caller waits for: deleting messages that Kafka has
// stored, and making others visible.
const maxCalls = 64

// How many messages are remembered that Kafka has stored although they may still be in the outbox. Each takes some 300
// bytes.
const (
	storedMost  = 8192
	storedLasts = 15 * time.Minute // the host hides a message for 10 minutes at most
)

// Config names the parts that a relay works with.
type Config struct {
	Producer      Producer
	Outbox        Outbox // nil: registrations that Kafka does not accept are refused
	Observer      Observer
	KafkaTimeout  time.Duration
	OutboxTimeout time.Duration
	// Profile says whether records have profiles. It also applies to messages that are already in the outbox.
	Profile bool
	Origin  registration.Origin // of this app: messages of other apps that use another Kafka stay in the outbox
	Now     func() time.Time    // the wall clock, for when a message was put into a queue; nil: the system's
}

// Relay delivers registrations. It is safe for use by several goroutines.
type Relay struct {
	producer      Producer
	outbox        Outbox
	observer      Observer
	kafkaTimeout  time.Duration
	outboxTimeout time.Duration
	profile       bool
	origin        registration.Origin
	now           func() time.Time
	breaker       *breaker // nil without an outbox
	repeats       repeats
	inKafka       *recent[messageKey, storedMessage] // messages whose records Kafka has
	invalid       *recent[messageKey, struct{}]      // messages with a copy in the poison queue
	calls         chan struct{}                      // has one for each call that nobody waits for
	kick          chan struct{}                      // capacity 1: there may be messages to drain
	stirred       atomic.Bool                        // a message went into the outbox or left it, and "empty" was not reported since then

	mu         sync.Mutex
	closed     bool
	watchers   sync.WaitGroup  // of late answers
	patience   context.Context //nolint:containedctx // they end with it
	background sync.WaitGroup  // all other goroutines
	life       context.Context //nolint:containedctx // it ends with that
	lose, end  context.CancelFunc
}

// messageKey identifies a message of the outbox.
type messageKey struct {
	registration.RepeatKey

	userID string
	queued int64
}

// storedMessage is a message whose record Kafka has stored.
type storedMessage struct {
	md   delivery.RecordMetadata
	told bool // the storing was reported
	// asked marks a message whose registration is being sent to Kafka. Until the outcome is known the message must not
	// be drained, whether or not the queue has it.
	asked bool
}

func keyOf(e registration.Event, queued time.Time) messageKey {
	return messageKey{e.RepeatKey(), e.UserID, queued.UnixNano()}
}

// New returns a relay. The caller must close it.
func New(c Config) *Relay {
	r := &Relay{
		producer: c.Producer, outbox: c.Outbox, observer: c.Observer,
		kafkaTimeout: c.KafkaTimeout, outboxTimeout: c.OutboxTimeout, profile: c.Profile, origin: c.Origin, now: c.Now,
		repeats: newRepeats(),
		inKafka: newRecent[messageKey, storedMessage](storedMost, storedLasts),
		invalid: newRecent[messageKey, struct{}](rememberMost, rememberFor),
		calls:   make(chan struct{}, maxCalls),
		kick:    make(chan struct{}, 1),
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.life, r.end = context.WithCancel(context.Background())
	r.patience, r.lose = context.WithCancel(context.Background())
	if c.Outbox != nil {
		r.breaker = &breaker{
			check: c.Producer.Check, spawn: r.spawn, opened: r.diverted, closed: r.resumed, answers: r.count, letThrough: r.wake,
			changed: make(chan struct{}),
		}
	}
	return r
}

// Close waits until all copies in the outbox of stored records are deleted, or until ctx ends. Messages that are left
// then become visible and may be copies. The producer must be closed before, so that the outcomes of all records are
// known.
func (r *Relay) Close(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	r.background.Wait()
	stop := context.AfterFunc(ctx, r.lose)
	r.watchers.Wait()
	stop()
	r.lose()
}

// watch runs a function that waits for a late answer, until it ends or Close gives up. After Close it does not run the
// function, and returns false.
func (r *Relay) watch(f func(life context.Context)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.watchers.Go(func() { f(r.patience) })
	return true
}

// spawn runs a function that ends with the relay.
func (r *Relay) spawn(f func(life context.Context)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.background.Go(func() { f(r.life) })
	}
}

// diverted reports that Kafka is unavailable.
func (r *Relay) diverted() {
	r.observer.Diverted(context.Background()) // independent of any caller
}

// countLimit is the time limit for counting the messages in the outbox. Registrations wait for it once in an outage.
const countLimit = 500 * time.Millisecond

// count returns the number of messages in the outbox, or -1.
func (r *Relay) count(ctx context.Context) int {
	limit, cancel := context.WithTimeout(ctx, countLimit)
	defer cancel()
	n, err := r.outbox.Count(limit)
	if err != nil {
		return -1
	}
	return n
}

// resumed reports that Kafka is back.
func (r *Relay) resumed(away time.Duration, waiting int) {
	r.wake()
	if waiting >= 0 {
		r.observer.Resumed(context.Background(), away, waiting)
		return
	}
	r.spawn(func(life context.Context) { r.observer.Resumed(context.Background(), away, r.count(life)) }) //nolint:contextcheck // not part of any attempt
}

// wake tells the drain that there may be messages.
func (r *Relay) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Deliver stores the registration. It has its own time limits and goes on if the caller disconnects, because the
// registration may be stored anyway. The error carries a delivery.Class, or is ErrIDTaken.
//
// An event whose id the caller chose is stored once: a repeat with the same source and id within 5 minutes gets the
// outcome of the first request, and waits until it is known.
func (r *Relay) Deliver(ctx context.Context, e registration.Event) (Outcome, error) {
	r.observer.Received(ctx, e)
	ctx = context.WithoutCancel(ctx)
	if !e.Chosen {
		out, late, err := r.store(ctx, e)
		if err != nil && late != nil {
			r.settle(ctx, e, late, func() {})
		}
		return out, err
	}
	f, known := r.repeats.first(e)
	if known {
		return r.replay(ctx, f, e)
	}
	defer r.repeats.ended(f) // also if store panics
	f.outcome, f.late, f.err = r.store(ctx, e)
	if f.err == nil || f.late != nil && !r.settle(ctx, e, f.late, func() { r.repeats.settled(f) }) {
		f.late = nil
	}
	return f.outcome, f.err
}

// settle waits for the late answer to a record that was refused with an unknown outcome, and calls then when the
// outcome is known.
func (r *Relay) settle(ctx context.Context, e registration.Event, late *answer, then func()) bool {
	e = e.WithoutProfile()
	return r.watch(func(context.Context) {
		defer then()
		if <-late.came; late.err == nil {
			r.observer.Forwarded(ctx, e, late.md)
		}
	})
}

// replay answers a repeat with the outcome of the first request.
func (r *Relay) replay(ctx context.Context, f *first, e registration.Event) (Outcome, error) {
	limit, cancel := context.WithTimeout(ctx, r.kafkaTimeout)
	defer cancel()
	out, err := f.replay(limit, e.UserID)
	if err != nil {
		r.observer.Refused(ctx, e, err)
	}
	return out, err
}
