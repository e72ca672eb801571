package kafka

import (
	"slices"

	"userrelay/handler/delivery"
)

// settle answers the callers of batches whose fate is known, and puts what is certainly not stored back into a queue. It
// returns the batches that are not settled. A lane that has such goes on with them and nothing else, and a new one takes
// its place: the broker knows repeats by the lane's id.
func (p *Producer) settle(l *lane, batches []batch) (unsettled []batch) {
	n := 0
	p.mu.Lock()
	persists := p.adjust(batches)
	for i := range batches {
		switch b := &batches[i]; b.verdict {
		case open:
			batches[n], batches[i] = batches[i], batches[n] // swapped, not copied: each owns its memory
			n++
		case refused, split:
			p.requeue(b)
		case stored, failed:
			for _, it := range b.items {
				p.forget(it)
			}
		}
	}
	q := l.q
	switch {
	case l.replaced:
	case n > 0:
		l.replaced = true
		q.rest(&lane{p: p, q: q})
		p.start(q)
	case l.ready:
		q.collecting = true // it comes back for more in a moment: callers who come back before it need wake no other
	default:
		p.start(q)
	}
	p.mu.Unlock()

	for i := n; i < len(batches); i++ {
		p.finish(&batches[i])
	}
	if persists != nil {
		p.complain(persists)
	}
	return batches[:n]
}

// adjust holds the partitions that do not take their batches, and lets those go that do. It returns what should be told
// to an operator. p.mu is held.
func (p *Producer) adjust(batches []batch) (persists *delivery.Error) {
	for i := range batches {
		b := &batches[i]
		if b.holds && b.verdict != open {
			b.holds = false
			p.release(b.partition)
		}
		switch {
		case b.verdict == open && !b.holds:
			b.holds = true
			p.hold(b.partition, nil)
		case b.verdict == stored:
			p.takes(b.partition)
		case b.verdict == refused:
			if p.holdFor([]int32{b.partition}, nil) == maxBackoff {
				persists = fail("produce", b.cause, false)
			}
		case b.verdict == failed && b.class == delivery.Fatal:
			persists = b.err()
			p.holdFor([]int32{b.partition}, nil) // whether the next fares better nobody knows
		case b.verdict == failed && lasts(b.class):
			persists = b.err()
			p.holdFor([]int32{b.partition}, persists)
			b.items = append(b.items, p.drain(p.queueOf(nobody), b.partition)...) // those that wait fare no better
		}
	}
	return persists
}

// lasts says that a failure is not one record's: the next of its partition will fail likewise.
func lasts(c delivery.Class) bool {
	return c == delivery.Throttled || c == delivery.NotAuthorized || c == delivery.UnknownTopic
}

// requeue puts the records of a batch back where they came from, in order. p.mu is held.
func (p *Producer) requeue(b *batch) {
	mates := 0
	if b.verdict == split {
		mates = max(1, len(b.items)/2)
	}
	for _, it := range slices.Backward(b.items) {
		if it.state == left || p.life.Err() != nil {
			p.forget(it)
			it.done <- result{err: fail("produce", errClosed, false)}
			continue
		}
		it.mates = mates
		p.assign(it, (*queue).pushFront)
	}
}

// answerAll tells the callers of items why those are not known to be stored.
func answerAll(items []*item, why *delivery.Error) {
	for _, it := range items {
		it.done <- result{err: why}
	}
}

// finish answers the callers of a settled batch.
func (p *Producer) finish(b *batch) {
	switch b.verdict {
	case stored:
		for i, it := range b.items {
			offset := b.base
			if offset >= 0 { // a broker that finds a batch to be a repeat may not know where it lies, and says -1
				offset += int64(i)
			}
			it.done <- result{metadata: delivery.RecordMetadata{
				Topic: p.topic, Partition: int(b.partition), Offset: offset, Timestamp: b.time,
			}}
		}
	case failed:
		answerAll(b.items, b.err())
	case open, refused, split:
	}
	clear(b.items)
}
