// Package relay decides where a registration goes: to Kafka; while Kafka does not accept it, to the outbox; or nowhere.
//
// It promises that Deliver returns within its time limits, and that it returns an Outcome only when the registration is
// stored durably. What is in the outbox, Drain moves to Kafka.
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
	Replayed bool                    // it was stored before, by a request with the same event id
}

// Kind says which store has a registration.
type Kind int

// The kinds. An Outcome without one says nothing.
const (
	InKafka Kind = iota + 1
	InOutbox
)

// Times.
const (
	// A message whose record may be stored all the same stays hidden for longer than the producer goes on with it: 60 s and
	// one attempt, which takes 25 s at most.
	hiddenFor = 90 * time.Second
	// What nobody waits for is tried again after a pause, which doubles.
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// So many calls of the queue are under way that no caller waits for: deleting what Kafka has, and showing what it has not.
const maxCalls = 64

// How many messages are remembered whose records Kafka has, although they may lie in the outbox still. Each is some 300
// bytes.
const (
	storedMost  = 8192
	storedLasts = 15 * time.Minute // the host's lease of a message is 10 minutes at most
)

// Config names the parts that a relay works with.
type Config struct {
	Producer      Producer
	Outbox        Outbox // nil: what Kafka does not accept is refused
	Observer      Observer
	KafkaTimeout  time.Duration
	OutboxTimeout time.Duration
	// Profile says whether records have profiles. It decides of what lies in the outbox, too.
	Profile bool
	Now     func() time.Time // the wall clock, for when a message was put into a queue; nil: the system's
}

// Relay delivers registrations. It is safe for use by several goroutines.
type Relay struct {
	producer      Producer
	outbox        Outbox
	observer      Observer
	kafkaTimeout  time.Duration
	outboxTimeout time.Duration
	profile       bool
	now           func() time.Time
	breaker       *breaker // nil: without an outbox there is nowhere else to go
	repeats       repeats
	inKafka       *recent[messageKey, storedMessage] // messages whose records Kafka has
	invalid       *recent[messageKey, struct{}]      // of which there is a copy in the poison queue
	calls         chan struct{}                      // has one for each that nobody waits for
	kick          chan struct{}                      // takes one: there may be something to drain
	stirred       atomic.Bool                        // something went into the outbox or came out, and it was not told since that it is empty

	mu         sync.Mutex
	closed     bool
	watchers   sync.WaitGroup  // of late answers
	patience   context.Context //nolint:containedctx // they end with it
	background sync.WaitGroup  // all else that goes on by itself
	life       context.Context //nolint:containedctx // it ends with that
	lose, end  context.CancelFunc
}

// messageKey tells one message of the outbox from all others.
type messageKey struct {
	registration.RepeatKey

	userID string
	queued int64
}

// storedMessage is what is known of a message whose record Kafka has.
type storedMessage struct {
	md   delivery.RecordMetadata
	told bool // it was told that Kafka has it
	// asked says that Kafka is being asked to store the registration, and nothing is known yet: the message, which the queue
	// may have or not, is nobody's business until then.
	asked bool
}

func keyOf(e registration.Event, queued time.Time) messageKey {
	return messageKey{e.RepeatKey(), e.UserID, queued.UnixNano()}
}

// New returns a relay. It must be closed.
func New(c Config) *Relay {
	r := &Relay{
		producer: c.Producer, outbox: c.Outbox, observer: c.Observer,
		kafkaTimeout: c.KafkaTimeout, outboxTimeout: c.OutboxTimeout, profile: c.Profile, now: c.Now,
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

// Close waits until nothing is left to be taken back from the outbox, or until ctx ends: what is left then becomes visible
// by itself, and may be a copy. The producer must be closed before, so that it has answered for all records.
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

// watch runs what waits for a late answer, until it ends or Close loses its patience. It says whether it does.
func (r *Relay) watch(f func(life context.Context)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.watchers.Go(func() { f(r.patience) })
	return true
}

// spawn runs what ends with the relay.
func (r *Relay) spawn(f func(life context.Context)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.background.Go(func() { f(r.life) })
	}
}

// diverted tells that Kafka is away.
func (r *Relay) diverted() {
	r.observer.Diverted(context.Background()) // whose attempt it was is of no interest
}

// countLimit is for counting what lies in the outbox. Registrations wait for it once in an outage.
const countLimit = 500 * time.Millisecond

// count is how many messages lie in the outbox, or -1.
func (r *Relay) count(ctx context.Context) int {
	limit, cancel := context.WithTimeout(ctx, countLimit)
	defer cancel()
	n, err := r.outbox.Count(limit)
	if err != nil {
		return -1
	}
	return n
}

// resumed tells that Kafka is back.
func (r *Relay) resumed(away time.Duration, waiting int) {
	r.wake()
	if waiting >= 0 {
		r.observer.Resumed(context.Background(), away, waiting)
		return
	}
	r.spawn(func(life context.Context) { r.observer.Resumed(context.Background(), away, r.count(life)) }) //nolint:contextcheck // nobody's attempt
}

// wake tells the drain that there may be something to do.
func (r *Relay) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Deliver stores the registration. It has time limits of its own: a caller that leaves does not take the delivery along,
// since what it did not hear of may be stored all the same. The error carries a delivery.Class, or is ErrIDTaken.
//
// An event whose id the caller chose is stored once: a repeat, of the same source and id, within 5 minutes has the first
// one's outcome, and waits for it where it is not known yet.
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
	defer r.repeats.ended(f) // should store not return, too
	f.outcome, f.late, f.err = r.store(ctx, e)
	if f.err == nil || f.late != nil && !r.settle(ctx, e, f.late, func() { r.repeats.settled(f) }) {
		f.late = nil
	}
	return f.outcome, f.err
}

// settle waits for the late answer to what was refused because its outcome was not known, and calls then when it is known.
func (r *Relay) settle(ctx context.Context, e registration.Event, late *answer, then func()) bool {
	e = e.WithoutProfile()
	return r.watch(func(context.Context) {
		defer then()
		if <-late.came; late.err == nil {
			r.observer.Forwarded(ctx, e, late.md)
		}
	})
}

// replay answers a repeat with the first one's outcome.
func (r *Relay) replay(ctx context.Context, f *first, e registration.Event) (Outcome, error) {
	limit, cancel := context.WithTimeout(ctx, r.kafkaTimeout)
	defer cancel()
	out, err := f.replay(limit, e.UserID)
	if err != nil {
		r.observer.Refused(ctx, e, err)
	}
	return out, err
}
