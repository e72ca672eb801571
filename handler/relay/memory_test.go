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
	takes time.Duration         // each call
	fault func(op string) error // before a call does its work; nil: none
	after func(op string) error // after it has done it: its answer is lost; nil: none

	mu       sync.Mutex
	n        int
	messages []*lying
	poison   []poisoned
	looks    int // calls of Receive
	most     int // received at a time and not given back or deleted
}

// lying is a message in the queue.
type lying struct {
	id, receipt string
	body        []byte
	shows       time.Time
	tries       int64
	held        bool
}

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
	q.mu.Lock()
	fault, after := q.fault, q.after
	q.mu.Unlock()
	if fault != nil {
		if err := fault(op); err != nil {
			return err
		}
	}
	q.mu.Lock()
	err := work()
	q.mu.Unlock()
	if err == nil && after != nil {
		err = after(op)
	}
	return err
}

// losing begins or ends the loss of answers.
func (q *memory) losing(after func(op string) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.after = after
}

// next returns a new id or receipt. q.mu is held.
func (q *memory) next(kind string) string {
	q.n++
	return fmt.Sprint(kind, q.n)
}

func kept(m *lying) delivery.Kept {
	return delivery.Kept{Queue: "userrelay-outbox", ID: m.id, Receipt: m.receipt}
}

// find returns the index of a message that no other receiver has. q.mu is held.
func (q *memory) find(k delivery.Kept) (int, error) {
	i := slices.IndexFunc(q.messages, func(m *lying) bool { return kept(m) == k })
	if i < 0 {
		return 0, delivery.ErrSeen
	}
	return i, nil
}

func (q *memory) Put(ctx context.Context, m registration.Envelope, hidden time.Duration) (k delivery.Kept, err error) {
	err = q.call(ctx, "Put", func() error {
		k = q.add(m.Encode(), hidden)
		return nil
	})
	return k, err
}

// add puts a message into the queue. q.mu is held, or nobody else uses it yet.
func (q *memory) add(body []byte, hidden time.Duration) delivery.Kept {
	m := &lying{id: q.next("m-"), receipt: q.next("r-"), body: body, shows: time.Now().Add(hidden)}
	q.messages = append(q.messages, m)
	return kept(m)
}

func (q *memory) Delete(ctx context.Context, k delivery.Kept) error {
	return q.call(ctx, "Delete", func() error {
		i, err := q.find(k)
		if err == nil {
			q.messages = slices.Delete(q.messages, i, i+1)
		}
		return err
	})
}

func (q *memory) Show(ctx context.Context, k delivery.Kept, after time.Duration) error {
	return q.call(ctx, "Show", func() error {
		i, err := q.find(k)
		if err == nil {
			m := q.messages[i]
			m.shows, m.receipt, m.held = time.Now().Add(after), q.next("r-"), false
		}
		return err
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
		q.looks++
		held := 0
		for _, m := range q.messages {
			if len(got) < most && !m.shows.After(time.Now()) {
				m.shows, m.receipt, m.held = until, q.next("r-"), true
				m.tries++
				got = append(got, delivery.Received{Kept: kept(m), Message: m.body, Tries: m.tries, Until: until})
			}
			if m.held && m.shows.After(time.Now()) {
				held++
			}
		}
		q.most = max(q.most, held)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return got, nil
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
		if !m.shows.After(time.Now()) {
			visible++
		}
	}
	return len(q.messages), visible
}

func (q *memory) len() int {
	n, _ := q.size()
	return n
}

// received returns how often somebody received, and how many messages were in progress at a time.
func (q *memory) received() (looks, most int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.looks, q.most
}

// drop empties the queue.
func (q *memory) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = nil
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

// away is a queue that does not carry out some operations, or any, before a time.
func (q *memory) away(back time.Time, operations ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fault = func(op string) error {
		if time.Now().Before(back) && (len(operations) == 0 || slices.Contains(operations, op)) {
			return errQueue
		}
		return nil
	}
}

// putUnknown loses the answer to a put that the queue has carried out.
func putUnknown(op string) error {
	if op == "Put" {
		return fails(delivery.UnknownOutcome)
	}
	return nil
}
