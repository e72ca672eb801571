package relay_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// memory is a queue with the time behaviour of a real one: messages are hidden, made visible, received with a receipt,
// and their attempts counted.
type memory struct {
	takes time.Duration                                  // each call
	fault func(op string, m registration.Envelope) error // before a call does its work; nil: none
	after func(op string) error                          // after it has done it: its answer is lost; nil: none

	mu       sync.Mutex
	n        int
	messages []*lying
	poison   []string // reasons
	receives []time.Time
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

func (q *memory) call(ctx context.Context, op string, m registration.Envelope) error {
	if q.takes > 0 {
		select {
		case <-time.After(q.takes):
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return &delivery.Error{Class: delivery.Unavailable, Op: op, Err: ctx.Err()}
	}
	q.mu.Lock()
	fault := q.fault
	q.mu.Unlock()
	if fault != nil {
		return fault(op, m)
	}
	return nil
}

// losing switches the loss of answers on and off.
func (q *memory) losing(after func(op string) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.after = after
}

// reasons returns the reasons in the poison queue, looks the number of reads, atATime the largest number of messages
// in progress.
func (q *memory) reasons() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.poison)
}

func (q *memory) looks() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.receives)
}

func (q *memory) atATime() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.most
}

func (q *memory) lost(op string) error {
	q.mu.Lock()
	after := q.after
	q.mu.Unlock()
	if after != nil {
		return after(op)
	}
	return nil
}

func (q *memory) Put(ctx context.Context, m registration.Envelope, hidden time.Duration) (delivery.Kept, error) {
	if err := q.call(ctx, "Put", m); err != nil {
		return delivery.Kept{}, err
	}
	kept := q.add(m.Encode(), hidden)
	return kept, q.lost("Put")
}

func (q *memory) add(body []byte, hidden time.Duration) delivery.Kept {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	m := &lying{id: fmt.Sprint("m-", q.n), receipt: fmt.Sprint("r-", q.n), body: body, shows: time.Now().Add(hidden)}
	q.messages = append(q.messages, m)
	return delivery.Kept{Queue: "userrelay-outbox", ID: m.id, Receipt: m.receipt}
}

// find returns the index of a message that no other receiver has. q.mu is held.
func (q *memory) find(k delivery.Kept) (int, error) {
	for i, m := range q.messages {
		if m.id == k.ID && m.receipt == k.Receipt {
			return i, nil
		}
	}
	return 0, delivery.ErrSeen
}

func (q *memory) Delete(ctx context.Context, k delivery.Kept) error {
	if err := q.call(ctx, "Delete", registration.Envelope{}); err != nil {
		return err
	}
	q.mu.Lock()
	i, err := q.find(k)
	if err == nil {
		q.messages = append(q.messages[:i], q.messages[i+1:]...)
	}
	q.mu.Unlock()
	if err == nil {
		err = q.lost("Delete")
	}
	return err
}

func (q *memory) Show(ctx context.Context, k delivery.Kept, after time.Duration) error {
	if err := q.call(ctx, "Show", registration.Envelope{}); err != nil {
		return err
	}
	q.mu.Lock()
	i, err := q.find(k)
	if err == nil {
		m := q.messages[i]
		q.n++
		m.shows, m.receipt, m.held = time.Now().Add(after), fmt.Sprint("r-", q.n), false
	}
	q.mu.Unlock()
	if err == nil {
		err = q.lost("Show")
	}
	return err
}

func (q *memory) Poison(ctx context.Context, _ []byte, reason string) (delivery.Kept, error) {
	if err := q.call(ctx, "Poison", registration.Envelope{}); err != nil {
		return delivery.Kept{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.poison = append(q.poison, reason)
	return delivery.Kept{ID: fmt.Sprint("p-", len(q.poison))}, nil
}

func (q *memory) Receive(ctx context.Context, most int, hidden time.Duration) ([]delivery.Received, error) {
	until := time.Now().Add(hidden)
	if err := q.call(ctx, "Receive", registration.Envelope{}); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receives = append(q.receives, time.Now())
	var got []delivery.Received
	held := 0
	for _, m := range q.messages {
		if len(got) < most && !m.shows.After(time.Now()) {
			q.n++
			m.shows, m.receipt, m.held = until, fmt.Sprint("r-", q.n), true
			m.tries++
			got = append(got, delivery.Received{
				Kept: delivery.Kept{Queue: "userrelay-outbox", ID: m.id, Receipt: m.receipt}, Message: m.body, Tries: m.tries, Until: until,
			})
		}
		if m.held && m.shows.After(time.Now()) {
			held++
		}
	}
	q.most = max(q.most, held)
	return got, nil
}

func (q *memory) Count(ctx context.Context) (int, error) {
	if err := q.call(ctx, "Count", registration.Envelope{}); err != nil {
		return 0, err
	}
	return q.len(), nil
}

func (q *memory) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// visible returns how many messages can be received.
func (q *memory) visible() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if !m.shows.After(time.Now()) {
			n++
		}
	}
	return n
}

// fill puts messages into the queue, one for each user.
func (q *memory) fill(n int) {
	for i := range n {
		m := queued()
		m.Event.ID, m.Event.UserID, m.Event.Profile = fmt.Sprint("e-", i), fmt.Sprint("auth0|", i), nil
		q.add(m.Encode(), 0)
	}
}

// draining returns a relay that drains a queue until stop is called; stop waits for its end.
func (j *journal) draining(t *testing.T, q *memory) (r *relay.Relay, stop func()) {
	t.Helper()
	r = relay.New(relay.Config{Producer: j, Outbox: q, Observer: j, KafkaTimeout: 2 * time.Second, OutboxTimeout: 1500 * time.Millisecond, Profile: true})
	ctx, cancel := context.WithCancel(t.Context())
	var drain sync.WaitGroup
	drain.Go(func() { r.DrainWhile(ctx) })
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			drain.Wait()
		})
	}
	t.Cleanup(func() {
		stop()
		r.Close(context.Background())
	})
	return r, stop
}
