package kafka

import (
	"slices"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
)

// settled is the dispatcher's decision about a lane's batches.
type settled struct {
	unresolved []batch         // with an unknown outcome; the lane goes on with them
	done       []batch         // whose callers must be answered
	trouble    *delivery.Error // an operator should be told
	stored     bool            // a batch was
	waiting    int             // records in queues and lanes
}

// settle decides about batches after an attempt. Records that are certainly not stored go back into a queue. Batches
// that may be stored stay with the lane, and a new lane replaces it. It reorders the batches.
func (d *dispatcher) settle(l *lane, batches []batch, now time.Time) settled {
	d.mu.Lock()
	defer d.mu.Unlock()
	var s settled
	n := 0
	for i := range batches {
		b := &batches[i]
		if trouble := d.adjust(b, now); trouble != nil {
			s.trouble = trouble
		}
		s.stored = s.stored || b.verdict == stored
		switch b.verdict {
		case unknown:
			batches[n], batches[i] = batches[i], batches[n] // swapped, not copied: each owns its memory
			n++
		case requeue, bisect:
			d.requeue(b)
		case stored, failed:
			for _, it := range b.items {
				d.forget(it)
			}
		}
	}
	d.replace(l, n > 0)
	s.unresolved, s.done, s.waiting = batches[:n], batches[n:], d.records
	return s
}

// replace puts a new lane in the place of one that goes on with its unresolved batches.
func (d *dispatcher) replace(l *lane, unresolved bool) {
	switch {
	case l.repeating:
	case unresolved:
		l.repeating = true
		l.b.busy--
		if d.brokers[l.b.id] == l.b {
			l.b.idle = append(l.b.idle, d.newLane(l.b))
		}
		d.consider(l.b)
	case l.connected:
		l.b.collecting = true // it returns for more in a moment: callers that return before it need not start another
	default:
		d.consider(l.b)
	}
}

// adjust blocks, pauses and unblocks a batch's partition, and returns the error that an operator should see.
func (d *dispatcher) adjust(b *batch, now time.Time) *delivery.Error {
	if b.blocks != (b.verdict == unknown) {
		b.blocks = b.verdict == unknown
		d.block(b.partition, b.blocks)
	}
	switch {
	case b.verdict == stored:
		d.lastStored = now
		p := &d.partitions[b.partition]
		p.backoff, p.refuse = 0, nil
	case b.verdict == requeue:
		if d.pause(b.partition, nil, now) == maxBackoff {
			return wire.Fail("produce", b.cause, false)
		}
	case b.verdict == failed && b.class == delivery.Fatal:
		d.pause(b.partition, nil, now) // the next record may or may not be accepted
		return b.err()
	case b.verdict == failed && lasts(b.class):
		why := b.err()
		d.pause(b.partition, why, now)
		b.items = append(b.items, d.parked.drain(&b.partition)...) // waiting records would fail likewise
		return why
	case b.verdict == failed && b.class == delivery.TopicRule, b.verdict == failed && b.class == delivery.Invalid:
		return b.err()
	}
	return nil
}

// lasts says that a failure is not specific to one record: the next record of the partition will fail likewise.
func lasts(c delivery.Class) bool {
	return c == delivery.Throttled || c == delivery.NotAuthorized || c == delivery.UnknownTopic
}

// block notes that the outcome of a batch of the partition is unknown, or is known again.
func (d *dispatcher) block(partition int32, on bool) {
	p := &d.partitions[partition]
	before := p.open()
	if on {
		p.blockedBy++
	} else {
		p.blockedBy--
	}
	d.move(p, partition, before)
}

// pause holds back a partition's records for a time, which it returns. The time grows with each pause until the
// partition accepts records.
func (d *dispatcher) pause(partition int32, why *delivery.Error, now time.Time) time.Duration {
	p := &d.partitions[partition]
	before := p.open()
	p.backoff, p.refuse = longer(p.backoff), why
	p.retryAt = now.Add(p.backoff)
	d.ring(p.retryAt)
	d.move(p, partition, before)
	return p.backoff
}

// unpause ends the pause of a partition when retryAt is over.
func (d *dispatcher) unpause(partition int32) {
	p := &d.partitions[partition]
	p.refuse = nil
	d.move(p, partition, false)
}

// move puts a partition's records into the right queue after the partition was opened or closed.
func (d *dispatcher) move(p *partition, number int32, before bool) {
	now := p.open()
	if now == before || p.leader == nil {
		return
	}
	from := &p.leader.queue
	if now {
		from = &d.parked
	}
	for _, it := range from.drain(&number) {
		d.place(it, (*queue).pushBack)
	}
}

// requeue puts the records of a batch back into their queue, in order.
func (d *dispatcher) requeue(b *batch) {
	limit := 0
	if b.verdict == bisect {
		limit = max(1, len(b.items)/2)
	}
	for _, it := range slices.Backward(b.items) {
		if it.place == abandoned || d.stopped {
			d.forget(it)
			it.done <- result{err: wire.Fail("produce", errClosed, false)}
			continue
		}
		it.limit = limit
		if int(it.partition) >= d.count {
			it.partition = partitionOf(it.record.Key, d.count)
		}
		d.place(it, (*queue).pushFront)
	}
}

// unable takes back a busy or borrowed lane that cannot connect. The records wait for a connected lane or for the next
// attempt. If waiting does not help, unable returns them, and their callers get the error. told says that an operator
// should see the error.
func (d *dispatcher) unable(l *lane, busy bool, trouble *delivery.Error, now time.Time) (refused []*item, told bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := l.b
	if busy {
		b.busy--
	}
	d.toIdle(l)
	b.backoff = longer(b.backoff)
	b.retryAt = now.Add(b.backoff)
	d.ring(b.retryAt)
	told = b.backoff == maxBackoff
	if !passing(trouble.Class) && !b.anyConnected() {
		told = true
		refused = b.queue.drain(nil)
		for _, it := range refused {
			d.forget(it)
		}
		for i := range d.partitions {
			if d.partitions[i].leader == b {
				d.pause(int32(i), trouble, now)
			}
		}
	}
	d.consider(b)
	return refused, told
}

// connecting notes that a busy lane must connect before it takes records. That may take long; another lane may be
// faster.
func (d *dispatcher) connecting(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.b.collecting = false
	d.consider(l.b)
}

// able notes that a lane has connected.
func (d *dispatcher) able(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.b.retryAt, l.b.backoff = time.Time{}, 0
}

// answered notes how long an answer took, and the broker's throttle time.
func (d *dispatcher) answered(l *lane, roundTrip, quiet time.Duration, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.b.roundTrip.add(roundTrip, now)
	if quiet > 0 {
		l.b.quietAt = now.Add(min(quiet, maxQuiet))
		d.ring(l.b.quietAt)
	}
}

// maxQuiet is the limit for a broker's throttle_time_ms. Kafka's own maximum is its quota window, 11 s.
const maxQuiet = 30 * time.Second

// tookLately says whether the topic stored a record a short time ago.
func (d *dispatcher) tookLately(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.lastStored.IsZero() && now.Sub(d.lastStored) < lately
}

// unusable notes why the topic cannot be used if an operator must act. It returns the waiting records, whose callers
// get the error.
func (d *dispatcher) unusable(trouble *delivery.Error) []*item {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = trouble
	if d.count > 0 {
		return nil
	}
	return d.discard()
}

// discard removes all waiting records from the queues and from the counts.
func (d *dispatcher) discard() []*item {
	items := d.parked.drain(nil)
	for _, b := range d.brokers {
		items = append(items, b.queue.drain(nil)...)
	}
	for _, it := range items {
		d.forget(it)
	}
	return items
}

// close refuses new records, and says whether it was called before.
func (d *dispatcher) close() (again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	again = d.closed
	if !again && d.records == 0 {
		close(d.finished)
	}
	d.closed = true
	return again
}

// stop has no lane start any more.
func (d *dispatcher) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
}

// clear empties the queues. It returns the records, whose callers get an error, and the idle lanes, whose connections
// must be closed. No lane is busy.
func (d *dispatcher) clear() ([]*item, []*lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var idle []*lane
	for _, b := range d.brokers {
		idle = append(idle, b.idle...)
		b.idle = nil
	}
	return d.discard(), idle
}

// waiting returns the number of records in queues and lanes.
func (d *dispatcher) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.records
}
