package kafka

import (
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// nobody leads a partition that has no leader. Its queue has no lanes.
const nobody int32 = -1

// assign chooses an item's partition, of which there may be more than before, and places it. p.mu is held.
func (p *Producer) assign(it *item, push func(*queue, *item)) {
	if p.leaders != nil {
		it.partition = p.partitionOf(it.record.Key)
	}
	p.place(it, push)
}

// place puts an item into the queue of the broker that its partition's records go to. p.mu is held.
func (p *Producer) place(it *item, push func(*queue, *item)) {
	to := nobody
	if p.leaders != nil {
		to = p.goesTo(it.partition)
	}
	q := p.queueOf(to)
	it.state, it.queue = waiting, q
	push(q, it)
	p.start(q)
}

// partitionOf is the partition that Kafka's Java client chooses for the key. p.mu is held.
func (p *Producer) partitionOf(key []byte) int32 {
	return int32(kafkago.Murmur2Balancer{Consistent: true}.Balance(kafkago.Message{Key: key}, p.ids...))
}

// leaderOf returns the broker that leads a partition, as far as is known. p.mu is held.
func (p *Producer) leaderOf(partition int32) int32 {
	if int(partition) >= len(p.leaders) { // the topic was deleted, and made anew with fewer
		return nobody
	}
	return p.leaders[partition]
}

// goesTo returns the broker that a partition's records may be sent to. p.mu is held.
func (p *Producer) goesTo(partition int32) int32 {
	if h := p.holds[partition]; h != nil && h.by > 0 {
		return nobody
	}
	return p.leaderOf(partition)
}

// queueOf returns the queue of a broker. p.mu is held.
func (p *Producer) queueOf(leader int32) *queue {
	if q := p.queues[leader]; q != nil {
		return q
	}
	q := &queue{leader: leader, roundTrip: newFloor()}
	p.queues[leader] = q
	for range lanesPerBroker {
		if leader != nobody {
			q.idle = append(q.idle, &lane{p: p, q: q})
		}
	}
	return q
}

// start lets an idle lane go if there is work for it. p.mu is held.
func (p *Producer) start(q *queue) {
	switch {
	case q.len == 0 || q.collecting || p.ended:
	case q.mayOpen():
		p.send(q)
	case q.watched == nil:
		q.watched = q.head
		time.AfterFunc(stuckAfter, func() { p.unstick(q) })
	}
}

// send lets an idle lane go. p.mu is held.
func (p *Producer) send(q *queue) {
	if l := q.open(time.Now()); l != nil {
		p.lanes.Go(func() { l.run(p.life) })
	}
}

// unstick lets one more lane go where the first record has been waiting all the time that a lane needs at most.
func (p *Producer) unstick(q *queue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stuck := q.len > 0 && q.head == q.watched
	q.watched = nil
	if stuck && !p.ended {
		p.send(q)
	}
	p.start(q) // watches what waits
}
