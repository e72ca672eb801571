package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// Times of the handler's own drain.
const (
	lookEvery  = time.Minute     // how often an idle drain checks the outbox
	lookPause  = time.Second     // the shortest interval between two checks
	againAfter = 5 * time.Second // after a check in which nothing was stored in Kafka
	// A message is hidden for longer than the producer can work on its record: ownPatience plus hiddenFor.
	heldFor     = 2 * time.Minute
	ownPatience = 5 * time.Second  // for waiting in the producer: messages of a dead partition must make room for others
	backAfter   = time.Minute      // a message that Kafka does not accept becomes visible again
	readLimit   = 10 * time.Second // for one answer of the queue
	endPatience = 3 * time.Second  // at shutdown, for messages in progress
)

// Bounds of the handler's own drain.
const (
	receiveMost = 32 // the queue returns at most this many in one call
	// The largest number of messages in progress at a time, each of 64 KiB at most.
	maxInHand = 96
	// A check ends when this many failed and none was stored.
	fruitless = 32
	// A message is given up after this many attempts, as the host does (host.json, maxDequeueCount).
	maxTries    = 10_000
	triesReason = "Kafka did not accept it in 10,000 attempts."
)

// DrainWhile drains the outbox until ctx ends: at the start, when a message was put into it, when Kafka is back, and
// otherwise once a minute. At the end it makes its messages visible again, except those that Kafka may still store. It
// waits some seconds for the outcome of those. It may be called once.
func (r *Relay) DrainWhile(ctx context.Context) {
	if r.outbox == nil {
		return
	}
	d := &ownDrain{r: r, slots: make(chan struct{}, maxInHand)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-timer.C:
		case <-r.kick:
		case <-ctx.Done():
			continue
		}
		next, asked := d.look(ctx)
		timer.Reset(next)
		if asked {
			sleep(ctx, lookPause)
		}
	}
	d.end(ctx)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ownDrain is the handler's own drain.
type ownDrain struct {
	r      *Relay
	slots  chan struct{}  // has one for each message in hand
	hands  sync.WaitGroup // that have one
	lates  sync.WaitGroup // of which Kafka's late answer is awaited
	unread bool           // the last attempt to read the outbox failed
}

// look drains the messages that are visible. It returns when to look again, and whether Kafka was asked.
func (d *ownDrain) look(ctx context.Context) (next time.Duration, asked bool) {
	if absent, _ := d.r.breaker.absent(); absent {
		return lookEvery, false // the breaker wakes the drain
	}
	limit, cancel := context.WithTimeout(ctx, checkLimit)
	err := d.r.producer.Check(limit)
	cancel()
	if err != nil {
		return lookPause, true
	}
	var stored, failed atomic.Int64
	idle := false
	for ctx.Err() == nil && !idle {
		if absent, _ := d.r.breaker.absent(); absent || stored.Load() == 0 && failed.Load() >= fruitless {
			break
		}
		messages, err := d.receive(ctx)
		if d.told(ctx, err) != nil {
			break
		}
		for _, m := range messages {
			d.hands.Go(func() {
				defer func() { <-d.slots }()
				if d.drain(ctx, m) {
					stored.Add(1)
				} else {
					failed.Add(1)
				}
			})
		}
		idle = len(messages) == 0
	}
	d.hands.Wait()
	switch {
	case failed.Load() > 0 && stored.Load() == 0:
		return againAfter, true
	case idle:
		d.emptied(ctx)
	}
	return lookEvery, true
}

// receive returns some messages, each of which takes a slot.
func (d *ownDrain) receive(ctx context.Context) ([]delivery.Received, error) {
	free := 0
	select {
	case d.slots <- struct{}{}:
		free++
	case <-ctx.Done():
		return nil, nil
	}
	for ; free < receiveMost; free++ {
		select {
		case d.slots <- struct{}{}:
			continue
		default:
		}
		break
	}
	limit, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	messages, err := d.r.outbox.Receive(limit, free, heldFor)
	for range free - len(messages) {
		<-d.slots
	}
	if len(messages) > 0 {
		d.r.stirred.Store(true)
	}
	return messages, err
}

// told reports once that the outbox cannot be read, and once that it can be again. It returns the error.
func (d *ownDrain) told(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
	case err != nil && !d.unread:
		d.r.observer.Unread(ctx, err)
	case err == nil && d.unread:
		d.r.observer.Read(ctx)
	}
	d.unread = err != nil && ctx.Err() == nil
	return err
}

// emptied reports that the outbox is empty, once after it had messages.
func (d *ownDrain) emptied(ctx context.Context) {
	if d.r.stirred.Load() && d.r.count(ctx) == 0 {
		d.r.stirred.Store(false)
		d.r.observer.Emptied(ctx)
	}
}

// drain processes one message until it is finished, or leaves it until Kafka's late answer. It says whether the
// message is finished. life is the context of the drain.
func (d *ownDrain) drain(life context.Context, m delivery.Received) bool {
	ctx, one := d.r.open(life, m.Message)
	d.r.transfer(ctx, &one, ownPatience)
	ctx = context.WithoutCancel(ctx) // shutdown leaves time for messages in progress
	late := d.r.await(ctx, one.err)
	if late == nil {
		return d.finish(ctx, life, &one, m)
	}
	one.message, one.event, m.Message = nil, one.event.WithoutProfile(), nil // many may wait
	d.lates.Add(1)
	if !d.r.watch(func(context.Context) {
		defer d.lates.Done()
		<-late.came
		one.md, one.err = late.md, late.err
		d.finish(ctx, life, &one, m)
	}) {
		d.lates.Done()
	}
	return false
}

// finish deletes a finished message, and makes the others visible again unless Kafka may still store them.
func (d *ownDrain) finish(ctx, life context.Context, one *drained, m delivery.Received) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, func() { time.AfterFunc(endPatience, cancel) })()
	if m.Message == nil && delivery.ClassOf(one.err) == delivery.Invalid {
		one.err = &delivery.Error{Class: delivery.Fatal, Op: "drain", Err: one.err} // the next attempt moves it to the poison queue
	}
	err := d.r.close(ctx, one)
	class := delivery.ClassOf(err)
	if err != nil && class != delivery.UnknownOutcome && m.Tries >= maxTries && m.Message != nil {
		reason := triesReason
		if errors.Is(err, registration.ErrForeign) {
			reason = foreignReason
		}
		err = d.r.poison(ctx, one.event, one.message, reason)
	}
	switch {
	case err == nil:
		d.r.insist(ctx, d.r.patience, m.Until, func(ctx context.Context) error { return d.r.outbox.Delete(ctx, m.Kept) })
		return true
	case class == delivery.UnknownOutcome: // it becomes visible again without this
		return false
	}
	after := backAfter
	if absent, _ := d.r.breaker.absent(); absent || life.Err() != nil {
		after = 0 // this message is not the cause
	}
	if d.r.enter(ctx) {
		limit, done := context.WithTimeout(ctx, d.r.outboxTimeout)
		_ = d.r.outbox.Show(limit, m.Kept, after) // if that fails it becomes visible again later
		done()
		d.r.leave()
	}
	return false
}

// end waits for Kafka's late answers, for some seconds.
func (d *ownDrain) end(ctx context.Context) {
	d.hands.Wait()
	known, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
	defer cancel()
	if d.r.watch(func(context.Context) {
		defer cancel()
		d.lates.Wait()
	}) {
		<-known.Done()
	}
}
