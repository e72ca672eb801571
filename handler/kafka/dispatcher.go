package kafka

import (
	"errors"
	"slices"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

// Limits of the records that wait or are in flight. Above them a record is refused at once.
const (
	maxRecords = 10_000
	maxBytes   = 32 << 20
)

const (
	firstBackoff = 20 * time.Millisecond
	maxBackoff   = 500 * time.Millisecond
	// If the topic stored a record within this time, it accepts records.
	lately = time.Minute
)

func longer(backoff time.Duration) time.Duration {
	return min(max(2*backoff, firstBackoff), maxBackoff)
}

var (
	errClosed = errors.New("the producer is closed")
	errFull   = errors.New("the queue is full")
)

// dispatcher decides what is sent when. It holds the queues, the books, and the states of partitions and lanes; it
// does no I/O and has no goroutine. Its methods are called for each event, and it calls start to run a lane.
//
// mu guards all of it, the items, and the idle lanes. It is never held during a wait.
//
// A lane:
//
//	state      next        when
//	idle       busy        records wait and broker.mayOpen (consider); one that is connected first
//	idle       borrowed    the keeper opens, uses or closes its connection (borrow)
//	borrowed   idle        it is done (rest)
//	busy       idle        nothing waits, or the other busy lanes are enough (next), or it cannot connect (unable)
//	busy       repeating   a batch's outcome is unknown (settle): a new lane takes its place, since the broker knows
//	                       repeats by the lane's producer id, and it goes on with its batches and nothing else
//	repeating  gone        the outcome of all its batches is known, or given up
//
// A partition:
//
//	open       its records go to its leader's queue
//	leaderless, blocked (a batch's outcome is unknown) or paused (a batch was refused, until retryAt): they wait in parked,
//	           where their callers can take them back, and the other partitions of the broker go on
type dispatcher struct {
	start   func(*lane)         // starts a goroutine that runs a lane, which is now busy
	newLane func(*broker) *lane // that is not connected
	alarm   chan struct{}       // capacity 1: due may be earlier than before

	mu         sync.Mutex
	partitions []partition       // by number; more than count if the topic was recreated with fewer
	count      int               // of the topic's partitions; 0: not known
	brokers    map[int32]*broker // that lead partitions, by id
	parked     queue
	records    int // in queues and lanes
	bytes      int
	trouble    *delivery.Error // why the topic cannot be used, if an operator must act
	lastStored time.Time
	next       time.Time     // the time of the next due action; zero: none
	closed     bool          // new records are refused
	stopped    bool          // no lane starts any more
	finished   chan struct{} // closed when closed and records is 0
}

// partition is a partition of the topic.
type partition struct {
	leader    *broker         // nil: none is known
	blockedBy int             // batches of it whose outcome is unknown
	retryAt   time.Time       // zero: not paused
	backoff   time.Duration   // the last one of retryAt
	refuse    *delivery.Error // set if waiting does not help; new records are refused with it while it is paused
}

func (p *partition) open() bool { return p.leader != nil && p.blockedBy == 0 && p.retryAt.IsZero() }

func newDispatcher(start func(*lane), newLane func(*broker) *lane) *dispatcher {
	return &dispatcher{
		start: start, newLane: newLane, alarm: make(chan struct{}, 1),
		brokers: map[int32]*broker{}, finished: make(chan struct{}),
	}
}

// add accepts a record.
func (d *dispatcher) add(it *item, r registration.Record) *delivery.Error {
	it.record, it.size = r, r.Size()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch why := d.refusal(it); {
	case d.closed:
		return wire.Fail("produce", errClosed, false)
	case why != nil:
		return why
	case d.records+1 > maxRecords, d.bytes+it.size > maxBytes:
		return wire.Fail("produce", errFull, false)
	}
	d.records++
	d.bytes += it.size
	d.place(it, (*queue).pushBack)
	return nil
}

// refusal returns why a record cannot be stored now, if waiting does not help. It also chooses the record's partition.
func (d *dispatcher) refusal(it *item) *delivery.Error {
	if d.count == 0 {
		return d.trouble
	}
	it.partition = partitionOf(it.record.Key, d.count)
	return d.partitions[it.partition].refuse
}

// place puts an item into its queue.
func (d *dispatcher) place(it *item, push func(*queue, *item)) {
	if d.count > 0 {
		if p := &d.partitions[it.partition]; p.open() {
			push(&p.leader.queue, it)
			d.consider(p.leader)
			return
		}
	}
	push(&d.parked, it)
}

// consider starts an idle lane if there is work for it.
func (d *dispatcher) consider(b *broker) {
	switch {
	case b.queue.len == 0 || b.collecting || d.stopped || !b.quietAt.IsZero():
	case b.mayOpen():
		d.open(b)
	case b.watched == nil:
		b.watched = b.queue.head
		b.stuckAt = time.Now().Add(stuckAfter)
		d.ring(b.stuckAt)
	}
}

func (d *dispatcher) open(b *broker) {
	if l := b.open(); l != nil {
		d.start(l)
	}
}

// ring schedules a call of tick.
func (d *dispatcher) ring(at time.Time) {
	if !d.next.IsZero() && !at.Before(d.next) {
		return
	}
	d.next = at
	select {
	case d.alarm <- struct{}{}:
	default:
	}
}

// due returns when tick must be called, or the zero time.
func (d *dispatcher) due() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.next
}

// tick carries out the due actions.
func (d *dispatcher) tick(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = time.Time{}
	over := func(t *time.Time) bool {
		if t.IsZero() || now.Before(*t) {
			return false
		}
		*t = time.Time{}
		return true
	}
	for i := range d.partitions {
		if over(&d.partitions[i].retryAt) {
			d.unpause(int32(i))
		}
	}
	for _, b := range d.brokers {
		if over(&b.stuckAt) {
			stuck := b.queue.len > 0 && b.queue.head == b.watched
			b.watched = nil
			if stuck && !d.stopped && b.quietAt.IsZero() {
				if l := b.open(); l != nil { // one more, however many are busy
					l.urgent = true
					d.start(l)
				}
			}
		}
		over(&b.retryAt)
		over(&b.quietAt)
		d.consider(b)
	}
	for i := range d.partitions {
		d.ringAt(d.partitions[i].retryAt)
	}
	for _, b := range d.brokers {
		d.ringAt(b.stuckAt)
		d.ringAt(b.retryAt)
		d.ringAt(b.quietAt)
	}
}

func (d *dispatcher) ringAt(t time.Time) {
	if !t.IsZero() {
		d.ring(t)
	}
}

// cancel takes back a record whose caller gives up. It returns false if a lane has the record. Otherwise it returns
// why the record was not stored, if known.
func (d *dispatcher) cancel(it *item) (queued bool, why *delivery.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if it.place != inQueue {
		it.place = abandoned
		return false, nil
	}
	it.queue.remove(it)
	d.forget(it)
	if d.count > 0 && int(it.partition) < len(d.partitions) {
		if b := d.partitions[it.partition].leader; b != nil && !b.quietAt.IsZero() {
			return true, &delivery.Error{Class: delivery.Throttled, Op: "wait for the broker's quota", Err: errQuota}
		}
	}
	return true, d.trouble
}

var errQuota = errors.New("the broker's quota is used up")

// forget removes an item from the counts.
func (d *dispatcher) forget(it *item) {
	d.records--
	d.bytes -= it.size
	if d.closed && d.records == 0 {
		close(d.finished)
	}
}

// collect notes that a busy lane is about to take the waiting records, and returns their number.
func (d *dispatcher) collect(l *lane) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.b.collecting = true
	return l.b.queue.len
}

// take returns the records that wait for a busy lane's broker. If it returns none, the lane is idle and the caller
// must not use it any more.
func (d *dispatcher) take(l *lane) []batch {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := l.b
	b.collecting = false
	b.busy-- // the asking lane does not count itself
	urgent := l.urgent
	l.urgent = false
	if b.queue.len == 0 || d.stopped || !b.quietAt.IsZero() || !urgent && !b.mayOpen() {
		d.toIdle(l)
		d.consider(b) // watches the records that wait for a busy lane: there is one, otherwise mayOpen would be true
		return nil
	}
	b.busy++
	l.batches = b.queue.fill(l.batches[:0])
	d.consider(b) // for the records above the caps
	return l.batches
}

// toIdle makes a lane idle, or drops it if its broker leads no partition any more.
func (d *dispatcher) toIdle(l *lane) {
	switch b := l.b; {
	case d.brokers[b.id] != b:
		l.hangUp()
	case l.connected:
		b.idle = append(b.idle, l)
	default:
		b.idle = slices.Insert(b.idle, 0, l)
	}
}

// borrow returns an idle lane that wanted accepts, unless n others of its broker are busy or more recently used. The
// lane does not count as busy. The caller must return it with rest.
func (d *dispatcher) borrow(b *broker, n int, wanted func(*lane) bool) *lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return nil
	}
	for i := len(b.idle) - 1; i >= max(0, len(b.idle)-n+b.busy); i-- {
		if l := b.idle[i]; wanted(l) {
			b.idle = slices.Delete(b.idle, i, i+1)
			return l
		}
	}
	return nil
}

// rest takes back a borrowed lane.
func (d *dispatcher) rest(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.toIdle(l)
	d.consider(l.b)
}

// known returns the brokers that lead partitions.
func (d *dispatcher) known() []*broker {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := make([]*broker, 0, len(d.brokers))
	for _, b := range d.brokers {
		known = append(known, b)
	}
	slices.SortFunc(known, func(a, b *broker) int { return int(a.id) - int(b.id) })
	return known
}

// leaders returns the broker of each partition, by its number, or noLeader.
func (d *dispatcher) leaders() []int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := make([]int32, d.count)
	for i := range ids {
		ids[i] = wire.NoLeader
		if b := d.partitions[i].leader; b != nil {
			ids[i] = b.id
		}
	}
	return ids
}

// learn stores the leaders of the partitions. It returns true the first time, and the lanes of brokers that lead no
// partition any more, whose connections must be closed.
func (d *dispatcher) learn(leaders []int32) (first bool, gone []*lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = nil
	first = d.count == 0
	changed := d.count != len(leaders)
	recount := changed && !first
	d.count = len(leaders)
	for len(d.partitions) < d.count {
		d.partitions = append(d.partitions, partition{})
	}
	for i := range d.partitions {
		leader := wire.NoLeader
		if i < len(leaders) {
			leader = leaders[i]
		}
		p := &d.partitions[i]
		b := d.brokerOf(leader)
		if p.leader == b {
			continue
		}
		changed = true
		p.leader, p.retryAt, p.refuse = b, time.Time{}, nil // the new one may accept records that the old one refused
	}
	if !changed {
		return false, nil
	}
	waiting := d.parked.drain(nil)
	for id, b := range d.brokers {
		waiting = append(waiting, b.queue.drain(nil)...)
		if !slices.Contains(leaders, id) {
			delete(d.brokers, id)
			gone = append(gone, b.idle...)
			b.idle = nil
		}
	}
	for _, it := range waiting {
		if first || recount {
			it.partition = partitionOf(it.record.Key, d.count)
		}
		d.place(it, (*queue).pushBack)
	}
	return first, gone
}

func (d *dispatcher) brokerOf(id int32) *broker {
	if id == wire.NoLeader {
		return nil
	}
	if b := d.brokers[id]; b != nil {
		return b
	}
	b := &broker{id: id, roundTrip: newFloor()}
	for range lanesPerBroker {
		b.idle = append(b.idle, d.newLane(b))
	}
	d.brokers[id] = b
	return b
}
