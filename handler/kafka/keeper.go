package kafka

import (
	"context"
	"slices"
	"sync"
	"time"

	"userrelay/handler/delivery"
)

const (
	lookEvery    = 10 * time.Second       // at the cluster, where nothing is wrong
	refreshEvery = 200 * time.Millisecond // at most, where something is
	lookBackoff  = time.Second            // at most, where that does not help
	warmEvery    = time.Minute            // below idleTimeout
)

// keep looks after what the producer knows of the cluster, and after its connections, until ctx ends.
func (p *Producer) keep(ctx context.Context) {
	look, warm := time.NewTicker(lookEvery), time.NewTicker(warmEvery)
	defer look.Stop()
	defer warm.Stop()
	for pause := refreshEvery; ; {
		looked := time.Now()
		if p.look(ctx) {
			pause = refreshEvery
		} else {
			p.askRefresh()
			pause = min(2*pause, lookBackoff)
		}
		for again := false; !again; {
			select {
			case <-p.refresh:
				wait(ctx, time.Until(looked.Add(pause)))
				again = true
			case <-look.C:
				again = true
			case <-warm.C:
				p.background.Go(func() { p.warm(ctx, fewLanes) })
			case <-ctx.Done():
				return
			}
		}
	}
}

// askRefresh tells the keeper that what is known of the cluster is out of date.
func (p *Producer) askRefresh() {
	select {
	case p.refresh <- struct{}{}:
	default:
	}
}

// look learns the topic's leaders. It returns false where there is more to learn soon.
func (p *Producer) look(ctx context.Context) (complete bool) {
	limit, cancel := context.WithTimeout(ctx, connectTimeout+p.attemptTimeout)
	defer cancel()
	leaders, err := p.lookUp(limit)
	if ctx.Err() != nil {
		return true
	}
	if err != nil {
		p.tell(fail("look up the topic", err, false))
		return false
	}
	first := p.learn(leaders)
	p.tell(nil)
	if first {
		p.background.Go(func() { p.warm(ctx, lanesPerBroker) })
	}
	return !slices.Contains(leaders, nobody)
}

// learn takes the leaders over, and moves what waits to where it belongs now. It returns true the first time.
func (p *Producer) learn(leaders []int32) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = nil
	if slices.Equal(p.leaders, leaders) {
		return false
	}
	first = p.leaders == nil
	for i := len(p.ids); i < len(leaders); i++ {
		p.ids = append(p.ids, i)
	}
	p.ids = p.ids[:len(leaders)]
	p.leaders = leaders
	for _, leader := range leaders {
		p.queueOf(leader)
	}
	var moved []*item
	for leader, q := range p.queues {
		for it := q.head; it != nil; it = q.head {
			q.remove(it)
			moved = append(moved, it)
		}
		if !slices.Contains(leaders, leader) {
			delete(p.queues, leader) // lanes that are out end by themselves
		}
	}
	for _, it := range moved {
		p.assign(it, (*queue).pushBack)
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return first
}

// tell notes whether the cluster is known, and says so where that has changed.
func (p *Producer) tell(trouble *delivery.Error) {
	now := explain(trouble)
	p.mu.Lock()
	before := p.told
	p.told = now
	if trouble != nil && !passing(trouble.Class) {
		p.trouble = trouble
	}
	known := p.leaders != nil
	p.mu.Unlock()
	switch {
	case now == before:
	case trouble == nil:
		p.log.Info("Kafka answers", "topic", p.topic)
	default:
		p.log.Warn("Kafka cannot be used", "class", string(trouble.Class), "why", now)
	}
	if trouble != nil && !passing(trouble.Class) && !known {
		p.failWaiting(trouble)
	}
}

// passing says that waiting may help.
func passing(c delivery.Class) bool { return c == delivery.Unavailable || c == delivery.UnknownOutcome }

// complaint is what was last said of a broker that refuses.
type complaint struct {
	text string
	at   time.Time
}

// complain says that a broker does not take records: the same at most once a minute.
func (p *Producer) complain(trouble *delivery.Error) {
	now := complaint{explain(trouble), time.Now()}
	p.mu.Lock()
	silent := now.text == p.complained.text && now.at.Sub(p.complained.at) < time.Minute
	if !silent {
		p.complained = now
	}
	p.mu.Unlock()
	if !silent {
		p.log.Warn("A Kafka broker does not take records", "class", string(trouble.Class), "why", now.text)
	}
}

// unable takes a lane back whose broker does not let it get ready. Its records wait for one that is, or for the next try,
// unless waiting does not help.
func (p *Producer) unable(l *lane, cause error) {
	trouble := fail("get a producer id", cause, false)
	p.askRefresh()
	p.mu.Lock()
	q := l.q
	q.rest(l)
	q.backoff = longer(q.backoff)
	q.until = time.Now().Add(q.backoff)
	persists := q.backoff == maxBackoff
	var refused []*item
	if !passing(trouble.Class) && !slices.ContainsFunc(q.idle, func(l *lane) bool { return l.ready }) {
		persists = true
		refused = p.refuse(q, trouble)
	}
	p.start(q)
	p.later(q.backoff, func() {
		q.until = time.Time{}
		p.start(q)
	})
	p.mu.Unlock()
	if persists && p.life.Err() == nil {
		p.complain(trouble)
	}
	answerAll(refused, trouble)
}

// refuse takes all items out of a broker's queue, and keeps new ones out for a while. p.mu is held.
func (p *Producer) refuse(q *queue, why *delivery.Error) []*item {
	items := p.discard(q)
	var led []int32
	for partition, leader := range p.leaders {
		if leader == q.leader {
			led = append(led, int32(partition))
		}
	}
	p.holdFor(led, why)
	return items
}

// all is every partition.
const all int32 = -1

// drain takes a partition's items out of a queue; they are still on the books. p.mu is held.
func (p *Producer) drain(q *queue, partition int32) []*item {
	var items []*item
	for it := q.head; it != nil; {
		next := it.next
		if partition == all || it.partition == partition {
			q.remove(it)
			it.state = taken
			items = append(items, it)
		}
		it = next
	}
	return items
}

// discard takes all items out of a queue and off the books. p.mu is held.
func (p *Producer) discard(q *queue) []*item {
	items := p.drain(q, all)
	for _, it := range items {
		p.forget(it)
	}
	return items
}

// failWaiting answers all callers whose records wait.
func (p *Producer) failWaiting(why *delivery.Error) {
	p.mu.Lock()
	var waiting []*item
	for _, q := range p.queues {
		waiting = append(waiting, p.discard(q)...)
	}
	p.mu.Unlock()
	answerAll(waiting, why)
}

// warm makes the connections of n idle lanes of each broker, and their producer ids where they have none, all at once so
// that each gets a connection of its own.
func (p *Producer) warm(ctx context.Context, n int) {
	p.mu.Lock()
	var lanes []*lane
	for leader, q := range p.queues {
		for i := 0; leader != nobody && i < n && len(q.idle) > 0; i++ {
			last := len(q.idle) - 1
			lanes = append(lanes, q.idle[last])
			q.idle = q.idle[:last]
			q.busy++
		}
	}
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, l := range lanes {
		all.Go(func() { p.warmLane(ctx, l) })
	}
	all.Wait()
}

func (p *Producer) warmLane(ctx context.Context, l *lane) {
	if l.ready {
		l.touch(ctx)
	} else if err := l.prepare(ctx); err != nil {
		p.unable(l, err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l.q.rest(l)
	p.start(l.q)
}
