package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// If this many users in a row are not delivered, the cause is not the users.
	failuresInARow = 10
	progressEvery  = 5 * time.Second
)

// backfill sends users and counts the results.
type backfill struct {
	options
	tenant   string
	function *function // nil: a dry run
	verifier *verifier // nil: all users are sent, not only missing ones
	sent     *state
	stderr   io.Writer

	mu     sync.Mutex // guards what follows, and stderr
	report report
	inARow int // failures
}

// run sends the users. The error says why it did not reach the end.
func (b *backfill) run(ctx context.Context, users func(context.Context) iter.Seq2[user, error]) error {
	begin := time.Now()
	var progress sync.WaitGroup
	defer progress.Wait()
	done := make(chan struct{})
	defer close(done)
	progress.Go(func() { b.progress(begin, done) })

	pace := time.NewTicker(max(time.Duration(float64(time.Second)/b.rate), 1))
	defer pace.Stop()
	senders, sending := errgroup.WithContext(ctx) // the first error stops all
	senders.SetLimit(b.parallel)
	todo, err := b.todo(sending, users(sending))
	if err == nil {
		err = b.feed(sending, todo, pace.C, func(u user, id string) {
			senders.Go(func() error { return b.send(sending, u, id) })
		})
	}
	if stopped := senders.Wait(); stopped != nil {
		return stopped
	}
	if ctx.Err() != nil {
		return errors.New("interrupted; with -state the next run skips the delivered users")
	}
	if err == nil && b.verifier != nil && b.verifier.counts().unclear > 0 {
		return errUnclear
	}
	return err
}

// todo yields the users to send.
func (b *backfill) todo(ctx context.Context, users iter.Seq2[user, error]) (iter.Seq2[user, error], error) {
	if b.verifier == nil {
		return b.unsent(users), nil
	}
	if err := b.verifier.begin(ctx); err != nil {
		return nil, err
	}
	return b.verifier.missing(ctx, b.unsent(users)), nil
}

// unsent yields the readable users of the time span that were not sent before, each once.
func (b *backfill) unsent(users iter.Seq2[user, error]) iter.Seq2[user, error] {
	return func(yield func(user, error) bool) {
		met := map[digest]struct{}{}
		for u, err := range users {
			if unreadable, ok := errors.AsType[*unreadableError](err); ok {
				b.missed("not sent", unreadable.where, unreadable.err)
				continue
			}
			if err == nil {
				id := u.eventID(b.tenant)
				event := digestOf(id)
				_, again := met[event]
				if !b.wanted(u, id, again) {
					u.settle()
					continue
				}
				met[event] = struct{}{}
			}
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

// feed passes on the users, one at each tick.
func (b *backfill) feed(ctx context.Context, users iter.Seq2[user, error], pace <-chan time.Time, send func(user, string)) error {
	for u, err := range users {
		if err != nil {
			return err
		}
		if b.function == nil {
			continue
		}
		select {
		case <-pace:
			send(u, u.eventID(b.tenant))
		case <-ctx.Done():
			return nil // run reports the reason
		}
	}
	return nil
}

// wanted counts a user, and says whether to send it.
func (b *backfill) wanted(u user, id string, queued bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.report.read++
	switch {
	case !u.within(b.from, b.to):
		b.report.outside++
		return false
	case queued:
		b.report.twice++
		return false
	case b.sent.has(id):
		b.report.before++
		return false
	}
	b.report.wanted(u.created)
	return true
}

// send delivers a user. An error means that the program must stop.
func (b *backfill) send(ctx context.Context, u user, id string) error {
	got, err := b.function.deliver(ctx, u, id)
	if err == nil {
		err := b.sent.add(id)
		if err == nil {
			u.settle()
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.inARow = 0
		b.report.delivered++
		if got.outbox {
			b.report.outbox++
		}
		if got.bare {
			b.report.bare++
		}
		return err
	}
	if ctx.Err() != nil {
		return nil // not caused by the user, who counts as not yet sent
	}
	b.missed("not delivered", u.id, err)
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.final {
		return fmt.Errorf("stopped: %w", err)
	} else if ok && refused.user {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inARow++; b.inARow == failuresInARow {
		return fmt.Errorf("stopped: %d users in a row were not delivered; run it again later", failuresInARow)
	}
	return nil
}

// missed reports a user who was not sent or not delivered. The report contains only the user's id.
func (b *backfill) missed(what, who string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if what == "not sent" {
		b.report.read++
		b.report.unreadable++
	} else {
		b.report.failed++
	}
	_, _ = fmt.Fprintf(b.stderr, "%s: %+q: %v\n", what, who, err)
}

// tell prints a message in addition to the counts.
func (b *backfill) tell(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = fmt.Fprintf(b.stderr, format+"\n", args...)
}

// progress prints the progress until done is closed.
func (b *backfill) progress(begin time.Time, done <-chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			topic := ""
			if b.verifier != nil {
				topic = fmt.Sprintf("%d users in the topic, ", b.verifier.counts().topic)
			}
			b.mu.Lock()
			r := b.report
			_, _ = fmt.Fprintf(b.stderr, "%s%d read, %d delivered, %d not delivered; %.1f per second\n",
				topic, r.read, r.delivered, r.missed(), float64(r.delivered)/time.Since(begin).Seconds())
			b.mu.Unlock()
		case <-done:
			return
		}
	}
}
