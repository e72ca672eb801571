package kafka

import (
	"context"
	"time"

	"userrelay/handler/delivery"
)

// hold keeps the records of a partition back that does not take them, so that they wait where their callers can take
// them back, and the other partitions of the same broker go on.
type hold struct {
	by      int             // how many keep it; the records go when none does
	backoff time.Duration   // of the last one
	why     *delivery.Error // where waiting does not help; new records are refused for it at once
}

func longer(backoff time.Duration) time.Duration {
	return min(max(2*backoff, firstBackoff), maxBackoff)
}

// hold keeps a partition's records back until release. It returns a time after which to try again, which grows until
// the partition takes records. p.mu is held.
func (p *Producer) hold(partition int32, why *delivery.Error) time.Duration {
	h := p.holds[partition]
	if h == nil {
		h = &hold{}
		p.holds[partition] = h
	}
	h.by++
	h.backoff, h.why = longer(h.backoff), why
	if h.by == 1 {
		p.move(p.queueOf(p.leaderOf(partition)), partition)
	}
	return h.backoff
}

// holdFor is hold for some partitions, and release after a time, which it returns. p.mu is held.
func (p *Producer) holdFor(partitions []int32, why *delivery.Error) time.Duration {
	var d time.Duration
	for _, partition := range partitions {
		d = max(d, p.hold(partition, why))
	}
	p.later(d, func() {
		for _, partition := range partitions {
			p.release(partition)
		}
	})
	return d
}

// refusal says why a partition's record cannot be stored now, if waiting does not help. p.mu is held.
func (p *Producer) refusal(partition int32) *delivery.Error {
	if p.leaders == nil {
		return p.trouble
	}
	if h := p.holds[partition]; h != nil && h.by > 0 {
		return h.why
	}
	return nil
}

// release undoes one hold. p.mu is held.
func (p *Producer) release(partition int32) {
	h := p.holds[partition]
	h.by--
	if h.by == 0 {
		p.move(p.queueOf(nobody), partition)
	}
}

// takes notes that a partition takes records. p.mu is held.
func (p *Producer) takes(partition int32) {
	switch h := p.holds[partition]; {
	case h == nil:
	case h.by == 0:
		delete(p.holds, partition)
	default:
		h.backoff, h.why = 0, nil
	}
}

// move puts a partition's items in a queue where they belong now. p.mu is held.
func (p *Producer) move(q *queue, partition int32) {
	if p.queueOf(p.goesTo(partition)) == q {
		return
	}
	for it := q.head; it != nil; {
		next := it.next
		if it.partition == partition {
			q.remove(it)
			p.assign(it, (*queue).pushBack)
		}
		it = next
	}
}

// later calls f after a pause, or as soon as other leaders are known. p.mu is held, and it will be when f is called.
func (p *Producer) later(d time.Duration, f func()) {
	p.lanes.Go(func() {
		p.pause(p.life, d)
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.ended {
			f()
		}
	})
}

// pause waits for a time, or until other leaders are known.
func (p *Producer) pause(ctx context.Context, d time.Duration) {
	p.mu.Lock()
	changed := p.changed
	p.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}
