package kafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// Held returns the number of records in queues and lanes, and their size in bytes.
func (p *Producer) Held() (records, size int) {
	p.dispatcher.mu.Lock()
	defer p.dispatcher.mu.Unlock()
	return p.dispatcher.records, p.dispatcher.bytes
}

// desk is a dispatcher in virtual time, without a broker: the actions of lanes are random.
type desk struct {
	d        *dispatcher
	draw     *rand.Rand
	busy     []*lane // that start was called for, and those that repeat their batches
	borrowed []*lane
	items    []*item // that were neither answered nor taken back
	healthy  bool    // nothing fails any more
}

func newDesk(seed uint64) *desk {
	k := &desk{draw: rand.New(rand.NewPCG(seed, 7))}
	k.d = newDispatcher(func(l *lane) { k.busy = append(k.busy, l) }, func(b *broker) *lane { return &lane{b: b} })
	return k
}

// fails says that something fails, once in n times.
func (k *desk) fails(n int) bool { return !k.healthy && k.draw.IntN(n) == 0 }

// step makes one random event happen.
func (k *desk) step() {
	switch n := k.draw.IntN(20); {
	case n < 6:
		k.add()
	case n < 7:
		k.cancel()
	case n < 8:
		k.learn()
	case n < 9:
		k.borrow()
	case n < 10:
		<-time.After(time.Duration(k.draw.IntN(60)) * time.Millisecond)
		k.d.tick(time.Now())
	case len(k.busy) > 0:
		i := k.draw.IntN(len(k.busy))
		l := k.busy[i]
		k.busy = slices.Delete(k.busy, i, i+1)
		k.run(l)
	}
}

func (k *desk) add() {
	it := &item{done: make(chan result, 1)}
	r := registration.Record{Key: []byte(strconv.Itoa(k.draw.IntN(1000))), Value: make([]byte, k.draw.IntN(3000))}
	if k.d.add(it, r) == nil {
		k.items = append(k.items, it)
	}
}

func (k *desk) cancel() {
	if len(k.items) == 0 {
		return
	}
	i := k.draw.IntN(len(k.items))
	if queued, _ := k.d.cancel(k.items[i]); queued {
		k.items = slices.Delete(k.items, i, i+1)
	}
}

func (k *desk) learn() {
	leaders := make([]int32, 1+k.draw.IntN(6))
	for i := range leaders {
		leaders[i] = int32(k.draw.IntN(4)) - 1
	}
	_, _ = k.d.learn(leaders)
}

func (k *desk) borrow() {
	if len(k.borrowed) > 0 {
		k.giveBack()
		return
	}
	for _, b := range k.d.known() {
		if l := k.d.borrow(b, lanesPerBroker, func(*lane) bool { return true }); l != nil {
			k.borrowed = append(k.borrowed, l)
		}
	}
}

func (k *desk) giveBack() {
	l := k.borrowed[0]
	k.borrowed = k.borrowed[1:]
	if l.connected = !k.fails(2); !l.connected && k.fails(2) {
		k.refuse(l, false)
		return
	}
	k.d.rest(l)
}

func (k *desk) refuse(l *lane, busy bool) {
	class := delivery.Unavailable
	if k.fails(4) {
		class = delivery.NotAuthorized
	}
	trouble := &delivery.Error{Class: class, Op: "test", Err: errors.New("test")}
	refused, _ := k.d.unable(l, busy, trouble, time.Now())
	answerAll(refused, trouble)
}

// run does the work of a busy lane: it connects, takes records, and makes an attempt with a random outcome.
func (k *desk) run(l *lane) {
	if l.repeating {
		k.settle(l, l.batches)
		return
	}
	if l.connected && k.fails(10) { // its connection is found dead
		l.connected = false
		k.d.connecting(l)
	}
	if !l.connected {
		if k.fails(4) {
			k.refuse(l, true)
			return
		}
		l.connected = true
		k.d.able(l)
	}
	k.d.collect(l)
	batches := k.d.take(l)
	if len(batches) == 0 {
		return
	}
	if k.fails(3) {
		quiet := time.Duration(0)
		if k.fails(5) {
			quiet = 30 * time.Millisecond
		}
		k.d.answered(l, time.Duration(k.draw.IntN(3000))*time.Microsecond, quiet, time.Now())
	}
	k.settle(l, batches)
}

func (k *desk) settle(l *lane, batches []batch) {
	classes := []delivery.Class{delivery.Throttled, delivery.TooLarge, delivery.Fatal, delivery.UnknownOutcome, delivery.TopicRule}
	for i := range batches {
		b := &batches[i]
		b.cause = errors.New("test")
		if b.verdict = stored; k.fails(2) {
			b.verdict = []verdict{unknown, requeue, bisect, failed}[k.draw.IntN(4)]
		}
		if b.verdict == failed {
			b.class = classes[k.draw.IntN(len(classes))]
		}
		if b.verdict == requeue {
			l.connected = false
		}
	}
	s := k.d.settle(l, batches, time.Now())
	p := &Producer{}
	for i := range s.done {
		p.finish(&s.done[i])
	}
	l.batches = s.unresolved
	if len(s.unresolved) > 0 || !l.repeating {
		k.busy = append(k.busy, l) // it comes back, for another attempt or for more records
	}
}

// check checks the invariants of the dispatcher's state.
func (k *desk) check() error {
	k.items = slices.DeleteFunc(k.items, func(it *item) bool { return len(it.done) > 0 })
	d := k.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.records != len(k.items) {
		return fmt.Errorf("%d records are on the books, and %d are under way", d.records, len(k.items))
	}
	timed := false
	for _, b := range d.brokers {
		of := func(lanes []*lane) int {
			return len(slices.DeleteFunc(slices.Clone(lanes), func(l *lane) bool { return l.b != b || l.repeating }))
		}
		busy, borrowed := of(k.busy), of(k.borrowed)
		timed = timed || !b.stuckAt.IsZero() || !b.retryAt.IsZero() || !b.quietAt.IsZero()
		free := len(b.idle) > 0 && (b.anyConnected() || b.retryAt.IsZero())
		switch {
		case b.busy != busy:
			return fmt.Errorf("broker %d counts %d busy lanes, there are %d", b.id, b.busy, busy)
		case len(b.idle)+busy+borrowed != lanesPerBroker:
			return fmt.Errorf("broker %d has %d idle, %d busy and %d borrowed lanes", b.id, len(b.idle), busy, borrowed)
		case b.collecting && busy == 0:
			return fmt.Errorf("broker %d waits for a lane that is not busy", b.id)
		case b.queue.len > 0 && busy == 0 && free && b.quietAt.IsZero() && !d.stopped:
			return fmt.Errorf("%d records wait for broker %d, whose lanes are idle", b.queue.len, b.id)
		}
	}
	for i := range d.partitions {
		p := &d.partitions[i]
		timed = timed || !p.retryAt.IsZero()
		if p.blockedBy < 0 {
			return fmt.Errorf("partition %d is blocked by %d batches", i, p.blockedBy)
		}
	}
	if timed && d.next.IsZero() {
		return errors.New("something is due, and nobody will be told")
	}
	return k.checkPlaces()
}

// checkPlaces checks that every waiting record is in the right queue.
func (k *desk) checkPlaces() error {
	for it := k.d.parked.head; it != nil; it = it.next {
		if k.d.count > 0 && k.d.partitions[it.partition].open() {
			return fmt.Errorf("a record of partition %d waits aside, and the partition is open", it.partition)
		}
	}
	for _, b := range k.d.brokers {
		for it := b.queue.head; it != nil; it = it.next {
			if p := &k.d.partitions[it.partition]; !p.open() || p.leader != b {
				return fmt.Errorf("a record of partition %d waits for broker %d, where it does not belong", it.partition, b.id)
			}
		}
	}
	return nil
}

// heal ends all faults, and checks that every record is answered.
func (k *desk) heal() error {
	k.healthy = true
	_, _ = k.d.learn([]int32{0, 1})
	for range 5000 {
		if k.d.waiting() == 0 {
			return k.check()
		}
		for len(k.borrowed) > 0 {
			k.giveBack()
		}
		<-time.After(20 * time.Millisecond)
		k.d.tick(time.Now())
		busy := k.busy
		k.busy = nil
		for _, l := range busy {
			k.run(l)
		}
		if err := k.check(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d records are still under way", k.d.waiting())
}

// TestDispatcher makes random events happen to a dispatcher and checks after each: no record is lost from the counts,
// none waits while a lane could take it, and each is answered once.
func TestDispatcher(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			k := newDesk(seed)
			for i := range 600 {
				k.step()
				if err := k.check(); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, i, err)
				}
			}
			if err := k.heal(); err != nil {
				t.Fatalf("seed %d, at the end: %v", seed, err)
			}
		})
	}
}
