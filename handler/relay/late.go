package relay

import (
	"context"
	"errors"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// answer is the final outcome of a record whose outcome was unknown. Several callers may wait for it.
type answer struct {
	came chan struct{} // closed when it is known, or never will be
	md   delivery.RecordMetadata
	err  error // of class UnknownOutcome if it never will be
}

// await waits for Kafka's late answer to a record, for as long as its copy in the outbox is hidden. It returns nil if
// there is no answer to wait for.
func (r *Relay) await(ctx context.Context, err error) *answer {
	late := delivery.LateOf(err)
	if late == nil {
		return nil
	}
	a := &answer{came: make(chan struct{}), err: err}
	if !r.watch(func(life context.Context) {
		defer close(a.came)
		limit, cancel := context.WithTimeout(ctx, hiddenFor)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		a.md, a.err = late(limit)
	}) {
		close(a.came)
	}
	return a
}

// by returns the answer if it arrives before ctx ends.
func (a *answer) by(ctx context.Context) (delivery.RecordMetadata, error) {
	select {
	case <-a.came:
		return a.md, a.err
	default:
	}
	select {
	case <-a.came:
		return a.md, a.err
	case <-ctx.Done():
		return delivery.RecordMetadata{}, &delivery.Error{Class: delivery.UnknownOutcome, Op: "wait for the late answer", Err: ctx.Err()}
	}
}

// takeBack waits for the late answer to a record that has a hidden copy in the outbox. If Kafka has stored the record,
// takeBack deletes the copy; if Kafka certainly has not, it makes the copy visible. If the outcome stays unknown the
// copy stays hidden for its time, because Kafka may still store the record. The event is without its profile, to save
// memory: many calls may wait.
func (r *Relay) takeBack(ctx context.Context, e registration.Event, queued time.Time, kept delivery.Kept, until time.Time, a *answer) {
	r.watch(func(life context.Context) {
		<-a.came
		switch {
		case a.err == nil:
			key := keyOf(e, queued)
			r.inKafka.add(key, storedMessage{md: a.md}) // in case it is received nevertheless
			if r.insist(ctx, life, until, func(ctx context.Context) error { return r.outbox.Delete(ctx, kept) }) {
				r.inKafka.forget(key)
				r.observer.Withdrawn(ctx, e, a.md)
			}
		case delivery.ClassOf(a.err) != delivery.UnknownOutcome:
			if r.insist(ctx, life, until, func(ctx context.Context) error { return r.outbox.Show(ctx, kept, 0) }) {
				r.wake()
			}
		}
	})
}

// insist calls f until it succeeds, the time is over or the relay ends. It says whether f succeeded.
func (r *Relay) insist(ctx, life context.Context, until time.Time, f func(context.Context) error) bool {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	for pause, tries := firstPause, 0; ; pause, tries = min(2*pause, longestPause), tries+1 {
		if !r.enter(ctx) {
			return false
		}
		limit, done := context.WithTimeout(ctx, r.outboxTimeout)
		err := f(limit)
		done()
		r.leave()
		switch {
		case err == nil:
			return true
		case errors.Is(err, delivery.ErrSeen):
			return tries > 0 // nobody else can have received it: an earlier attempt succeeded, and its answer was lost
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// enter and leave limit the concurrent calls of the queue that no caller waits for.
func (r *Relay) enter(ctx context.Context) bool {
	select {
	case r.calls <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *Relay) leave() { <-r.calls }
