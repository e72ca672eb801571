package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"userrelay/handler/delivery"
)

const (
	// The breaker opens after this many failed registrations in a row. A lower number would open it for a short
	// failure of one broker. While Kafka answers checks, this many registrations at a time are sent to it although the
	// breaker is open.
	tripAfter = 5
	// How often Kafka is checked while the breaker is open.
	checkEvery = time.Second
	// The time limit of a check. A Kafka that needs more than the registrations' two seconds is slow but available:
	// drains must go on.
	checkLimit = 5 * time.Second
	// Without registrations and drains to prove it, Kafka counts as available again when it has answered checks for
	// this long.
	quietFor = 30 * time.Second
)

var (
	errDiverted = errors.New("kafka is away")
	errPanicked = errors.New("the attempt did not return")
)

// breaker knows whether Kafka is unavailable, so that registrations do not wait for it in vain.
//
//	closed  registrations go to Kafka, until tripAfter of them in a row fail
//	open    registrations go directly to the outbox, and Kafka is checked once a second. While it answers, tripAfter of
//	        them at a time are sent to it: it may still store nothing, or refuse only one partition
//
// A record that is stored in time closes it, from a registration or from a drain. Failed drains do not open it: the
// messages in the outbox may all belong to the one partition that is dead. Drains wait only while Kafka does not
// answer.
//
// This is not gobreaker, because gobreaker cannot do three things: be closed from outside, use a health check instead
// of a waiting registration, and let several requests through at a time where one failure does not stop the others.
type breaker struct {
	check  func(context.Context) error
	spawn  func(func(life context.Context)) // runs the checks until the relay is closed
	opened func()
	closed func(away time.Duration, waiting int)
	// answers is called when Kafka answers again, before anything is sent to it; it returns the number of waiting
	// messages. letThrough is called when drains may go on.
	answers    func(ctx context.Context) (waiting int)
	letThrough func()

	mu       sync.Mutex
	failures int // in a row, while it is closed
	open     bool
	since    time.Time     // when it was opened
	ended    chan struct{} // closed when it is closed again
	asked    bool          // since it was opened
	there    bool          // and Kafka answered the last check
	trials   int           // registrations under way that were let through while it was open
	waiting  int           // messages in the outbox when Kafka answered again, -1 if unknown
	failed   time.Time     // when a registration or a check failed last
	changed  chan struct{} // closed when drains may go on
}

// allow returns a function that must be called once with the result of the attempt, or an error while Kafka is
// unavailable.
func (b *breaker) allow() (report func(error), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return func(err error) { b.report(err, false) }, nil
	}
	if !b.there || b.trials >= tripAfter {
		return nil, away()
	}
	b.trials++
	return func(err error) { b.report(err, true) }, nil
}

func away() error {
	return &delivery.Error{Class: delivery.Unavailable, Op: "wait for Kafka", Err: errDiverted}
}

func (b *breaker) report(err error, trial bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if trial {
		b.trials--
	}
	switch delivery.ClassOf(err) {
	case "":
		b.shut()
	case delivery.Invalid, delivery.TooLarge: // the record's fault: Kafka is available
		b.failures = 0
	default:
		b.failed = time.Now()
		if b.failures++; !b.open && b.failures >= tripAfter {
			b.trip()
		}
	}
}

// stored notes that Kafka has stored a record of the outbox in time.
func (b *breaker) stored() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shut()
}

// trip opens it. b.mu is held.
func (b *breaker) trip() {
	ended := make(chan struct{})
	b.open, b.since, b.ended, b.asked, b.there, b.waiting = true, time.Now(), ended, false, false, -1
	b.opened()
	b.spawn(func(life context.Context) { b.ask(life, ended) })
}

// shut closes it. b.mu is held.
func (b *breaker) shut() {
	b.failures = 0
	if !b.open {
		return
	}
	b.open = false
	close(b.ended)
	b.letGo()
	b.closed(time.Since(b.since), b.waiting)
}

// letGo releases those that wait for Kafka. b.mu is held.
func (b *breaker) letGo() {
	close(b.changed)
	b.changed = make(chan struct{})
	b.letThrough()
}

// ask checks Kafka until the breaker or the relay is closed.
func (b *breaker) ask(life context.Context, ended <-chan struct{}) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		limit, cancel := context.WithTimeout(life, checkLimit)
		err := b.check(limit)
		cancel()
		if life.Err() != nil {
			return
		}
		waiting := -1
		if absent, _ := b.absent(); absent && err == nil {
			waiting = b.answers(life)
		}
		b.learn(ended, err == nil, waiting)
		select {
		case <-tick.C:
		case <-ended:
			return
		case <-life.Done():
			return
		}
	}
}

// absent says whether Kafka does not answer. changed is closed when that may have changed.
func (b *breaker) absent() (absent bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open && b.asked && !b.there, b.changed
}

// learn notes the result of a check. ended is the channel of the period in which the check began.
func (b *breaker) learn(ended <-chan struct{}, there bool, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open || b.ended != ended {
		return
	}
	back := there && !b.there
	b.asked, b.there = true, there
	if waiting >= 0 {
		b.waiting = waiting
	}
	switch {
	case !there:
		b.failed = time.Now()
	case time.Since(b.failed) >= quietFor && b.trials == 0:
		b.shut()
	case back:
		b.letGo()
	}
}

// wait waits while Kafka does not answer, until ctx ends.
func (b *breaker) wait(ctx context.Context) error {
	for {
		absent, changed := b.absent()
		if !absent {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return away()
		}
	}
}
