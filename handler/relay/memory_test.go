package relay_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// memory is a queue with the time behaviour of a real one: messages are hidden, made visible, received with a receipt,
// and their attempts counted.
type memory struct {
	takes time.Duration // each call
	fault fault         // nil: none

	mu       sync.Mutex
	n        int
	messages []*message
	poison   []poisoned
}

// fault makes a call of the queue, or fails before its work or after it, when the answer is lost.
type fault func(op string, work func() error) error

type message struct {
	delivery.Kept

	body  []byte
	shows time.Time
	tries int64
}

func (m *message) visible() bool { return !m.shows.After(time.Now()) }

type poisoned struct {
	message []byte
	reason  string
}

// call makes a call that changes the queue or reads it.
func (q *memory) call(ctx context.Context, op string, work func() error) error {
	if q.takes > 0 {
		until(ctx, time.Now().Add(q.takes))
	}
	if ctx.Err() != nil {
		return &delivery.Error{Class: delivery.Unavailable, Op: op, Err: ctx.Err()}
	}
	locked := func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		return work()
	}
	q.mu.Lock()
	call := q.fault
	q.mu.Unlock()
	if call == nil {
		return locked()
	}
	return call(op, locked)
}

// next returns a new id or receipt. q.mu is held.
func (q *memory) next(kind string) string {
	q.n++
	return fmt.Sprint(kind, q.n)
}

// change makes a call that changes a message, unless another receiver has it.
func (q *memory) change(ctx context.Context, op string, k delivery.Kept, do func(i int)) error {
	return q.call(ctx, op, func() error {
		i := slices.IndexFunc(q.messages, func(m *message) bool { return m.Kept == k })
		if i < 0 {
			return delivery.ErrSeen
		}
		do(i)
		return nil
	})
}

// add puts a message into the queue. q.mu is held, or nobody else uses it yet.
func (q *memory) add(body []byte, hidden time.Duration) *message {
	kept := delivery.Kept{Queue: "userrelay-outbox", ID: q.next("m-"), Receipt: q.next("r-")}
	m := &message{Kept: kept, body: body, shows: time.Now().Add(hidden)}
	q.messages = append(q.messages, m)
	return m
}

func (q *memory) Put(ctx context.Context, m registration.Envelope, hidden time.Duration) (k delivery.Kept, err error) {
	err = q.call(ctx, "Put", func() error {
		k = q.add(m.Encode(), hidden).Kept
		return nil
	})
	return k, err
}

func (q *memory) Delete(ctx context.Context, k delivery.Kept) error {
	return q.change(ctx, "Delete", k, func(i int) { q.messages = slices.Delete(q.messages, i, i+1) })
}

func (q *memory) Show(ctx context.Context, k delivery.Kept, after time.Duration) error {
	return q.change(ctx, "Show", k, func(i int) {
		q.messages[i].shows, q.messages[i].Receipt = time.Now().Add(after), q.next("r-")
	})
}

func (q *memory) Poison(ctx context.Context, message []byte, reason string) (delivery.Kept, error) {
	return delivery.Kept{ID: "p-1"}, q.call(ctx, "Poison", func() error {
		q.poison = append(q.poison, poisoned{message, reason})
		return nil
	})
}

func (q *memory) Receive(ctx context.Context, most int, hidden time.Duration) (got []delivery.Received, err error) {
	until := time.Now().Add(hidden)
	err = q.call(ctx, "Receive", func() error {
		for _, m := range q.messages {
			if len(got) < most && m.visible() {
				m.shows, m.Receipt, m.tries = until, q.next("r-"), m.tries+1
				got = append(got, delivery.Received{Kept: m.Kept, Message: m.body, Tries: m.tries, Until: until})
			}
		}
		return nil
	})
	return got, err
}

func (q *memory) Count(ctx context.Context) (n int, err error) {
	err = q.call(ctx, "Count", func() error { n = len(q.messages); return nil })
	return n, err
}

// size returns how many messages there are, and how many of them can be received.
func (q *memory) size() (all, visible int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.visible() {
			visible++
		}
	}
	return len(q.messages), visible
}

func (q *memory) len() int {
	n, _ := q.size()
	return n
}

// reasons are those of the messages in the poison queue.
func (q *memory) reasons() (all []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.poison {
		all = append(all, p.reason)
	}
	return all
}

// fill puts messages into the queue, one for each user.
func (q *memory) fill(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range n {
		m := queued()
		m.Event = registered(fmt.Sprint("e-", i), anybody(i))
		q.add(m.Encode(), 0)
	}
}

// breaks begins a fault.
func (q *memory) breaks(f fault) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fault = f
}

// away is a fault of some operations, or of all, that ends at a time.
func away(back time.Time, operations ...string) fault {
	return func(op string, work func() error) error {
		if time.Now().Before(back) && (len(operations) == 0 || slices.Contains(operations, op)) {
			return errQueue
		}
		return work()
	}
}

// failing is a fault of all operations, or none.
func failing(err error) fault {
	if err == nil {
		return nil
	}
	return func(string, func() error) error { return err }
}

// putUnknown loses the answer to a put that the queue has carried out.
func putUnknown(op string, work func() error) error {
	if err := work(); err != nil || op != "Put" {
		return err
	}
	return fails(delivery.UnknownOutcome)
}
