package kafka

import (
	"slices"

	"userrelay/handler/delivery"
)

// settle answers the callers of batches whose fate is known and puts what is certainly not stored back into a queue. It
// returns the batches that are not settled.
func (p *Producer) settle(q *queue, batches []batch) (unsettled []batch) {
	n := 0
	p.mu.Lock()
	// The lane comes back for more in a moment: callers who come back before it need wake no other.
	q.collecting = true
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
	if n > 0 {
		q.collecting = false
		p.start(q)
	}
	p.mu.Unlock()

	for i := n; i < len(batches); i++ {
		p.finish(&batches[i])
	}
	return batches[:n]
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

// finish answers the callers of a settled batch.
func (p *Producer) finish(b *batch) {
	switch b.verdict {
	case stored:
		for i, it := range b.items {
			it.done <- result{metadata: delivery.RecordMetadata{
				Topic: p.topic, Partition: int(b.partition), Offset: b.base + int64(i), Timestamp: b.time,
			}}
		}
	case failed:
		err := &delivery.Error{Class: b.class, Op: "produce", Err: b.cause}
		for _, it := range b.items {
			it.done <- result{err: err}
		}
	case open, refused, split:
	}
	clear(b.items)
}
