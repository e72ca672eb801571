package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"userrelay/handler/delivery"
)

const (
	// So many registrations in a row that fail, and Kafka counts as away. Fewer would divert for a moment's trouble of one
	// broker. While Kafka answers when it is asked, so many registrations at a time are sent to it all the same.
	tripAfter = 5
	// While it counts as away, it is asked this often.
	checkEvery = time.Second
	// For one answer. A Kafka that takes longer than the registrations' two seconds is slow, not away: drains must go on.
	checkLimit = 5 * time.Second
	// With no registration and no drain to show it, Kafka counts as there again when it has answered for so long.
	quietFor = 30 * time.Second
)

var (
	errDiverted = errors.New("kafka is away")
	errPanicked = errors.New("the attempt did not return")
)

// breaker knows whether Kafka is away, so that no registration waits for it in vain.
//
//	closed  registrations go to Kafka, until tripAfter of them in a row fail
//	open    registrations go straight to the outbox, and Kafka is asked once a second. While it answers, tripAfter of
//	        them at a time are sent to it: it may store nothing all the same, or refuse one partition only
//
// A record that is stored in time closes it, a drained one as well as a registration's. Drains do nothing else to it: what
// lies in the outbox may be the records of the one partition that is dead. They wait only while Kafka does not answer.
//
// It is of this project's making, since gobreaker can do none of three things: be closed from outside, learn from a
// question instead of a registration that waits, and let several through at a time of which one failure does not shut the
// others out.
type breaker struct {
	check  func(context.Context) error
	spawn  func(func(life context.Context)) // runs what asks Kafka, until the relay is closed
	opened func()
	closed func(away time.Duration, waiting int)
	// answers is called when Kafka answers after it did not, before anything is sent to it, and counts what waits for it.
	// letThrough is called when drains may go on.
	answers    func(ctx context.Context) (waiting int)
	letThrough func()

	mu       sync.Mutex
	failures int // in a row, while it is closed
	open     bool
	since    time.Time     // when it was opened
	ended    chan struct{} // closed when it is closed again
	asked    bool          // since it was opened
	there    bool          // and Kafka answered the last time
	trials   int           // registrations under way that were let through while it was open
	waiting  int           // in the outbox when Kafka answered again, -1 where that is not known
	failed   time.Time     // when a registration or a question failed last
	changed  chan struct{} // closed when drains need not wait any more
}

// allow returns a function that must be told once how the attempt ended, or an error while Kafka is away.
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
	case delivery.Invalid, delivery.TooLarge: // one record's fault: Kafka is there
		b.failures = 0
	default:
		b.failed = time.Now()
		if b.failures++; !b.open && b.failures >= tripAfter {
			b.trip()
		}
	}
}

// stored tells that Kafka has stored a record of the outbox in time.
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

// letGo lets those go who wait for Kafka. b.mu is held.
func (b *breaker) letGo() {
	close(b.changed)
	b.changed = make(chan struct{})
	b.letThrough()
}

// ask asks Kafka until the breaker is closed, or the relay.
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

// absent says that Kafka does not answer; changed is closed when that may be over.
func (b *breaker) absent() (absent bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open && b.asked && !b.there, b.changed
}

// learn notes whether Kafka answers. ended is that of the time when it was asked.
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
