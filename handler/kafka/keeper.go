package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"

	"userrelay/handler/delivery"
)

const (
	lookEvery    = 10 * time.Second       // at what kafka-go knows of the cluster
	refreshEvery = 200 * time.Millisecond // at most: every lane connects anew after it
	warmEvery    = time.Minute            // below idleTimeout
)

// keep looks after what the producer knows of the cluster, and after its connections, until ctx ends.
func (p *Producer) keep(ctx context.Context) {
	look, warm := time.NewTicker(lookEvery), time.NewTicker(warmEvery)
	defer look.Stop()
	defer warm.Stop()
	backoff := refreshEvery
	for again := false; ; {
		if known := p.look(ctx, again); known {
			backoff = refreshEvery
		} else {
			p.askRefresh()
			wait(ctx, backoff)
			backoff = min(2*backoff, time.Second)
		}
		select {
		case <-p.refresh:
			again = true
			wait(ctx, refreshEvery)
		case <-look.C:
			again = false
		case <-warm.C:
			again = false
			p.warm(ctx, fewLanes)
		case <-ctx.Done():
			return
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

// look learns the topic's leaders. again makes kafka-go forget what it knows: it keeps an error of its start, and the
// leaders of before a failure, until its metadata are due.
func (p *Producer) look(ctx context.Context, again bool) (known bool) {
	if again {
		p.transport.CloseIdleConnections()
	}
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
		p.warm(ctx, lanesPerBroker)
	}
	return true
}

// lookUp returns the leader of each partition, -1 where there is none. kafka-go answers it from memory.
func (p *Producer) lookUp(ctx context.Context) ([]int32, error) {
	md, err := p.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{p.topic}})
	if err != nil {
		return nil, err
	}
	for _, t := range md.Topics {
		switch {
		case t.Name != p.topic:
			continue
		case t.Error != nil:
			return nil, t.Error
		}
		leaders := make([]int32, len(t.Partitions))
		for i := range leaders {
			leaders[i] = -1
		}
		for _, q := range t.Partitions {
			if q.ID < 0 || q.ID >= len(leaders) {
				return nil, errors.New("the partitions are not numbered from 0")
			}
			if q.Leader.Host != "" {
				leaders[q.ID] = int32(q.Leader.ID)
			}
		}
		if len(leaders) > 0 {
			return leaders, p.learnVersions(ctx)
		}
	}
	return nil, kafkago.UnknownTopicOrPartition
}

// learnVersions asks once whether the broker knows idempotent producers.
func (p *Producer) learnVersions(ctx context.Context) error {
	p.mu.Lock()
	known := p.leaders != nil
	p.mu.Unlock()
	if known {
		return nil
	}
	res, err := p.client.ApiVersions(ctx, &kafkago.ApiVersionsRequest{})
	if err != nil {
		return fmt.Errorf("ask for the broker's API versions: %w", err)
	}
	for _, api := range res.ApiKeys {
		if api.ApiKey == int(protocol.InitProducerId) {
			return nil
		}
	}
	p.log.WarnContext(ctx, "The Kafka broker knows no idempotent producers (InitProducerId): a lost answer makes an unknown outcome")
	p.plain.Store(true)
	return nil
}

// learn takes the leaders over, and moves what waits to where it belongs now. It returns true the first time.
func (p *Producer) learn(leaders []int32) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first = p.leaders == nil
	for i := len(p.ids); i < len(leaders); i++ {
		p.ids = append(p.ids, i)
	}
	p.ids = p.ids[:len(leaders)]
	p.leaders, p.trouble = leaders, nil
	for _, leader := range leaders {
		p.queueOf(leader)
	}
	var moved []*item
	for _, q := range p.queues {
		for it := q.head; it != nil; it = q.head {
			q.remove(it)
			moved = append(moved, it)
		}
	}
	for _, it := range moved {
		p.assign(it, (*queue).pushBack)
	}
	return first
}

// tell notes whether the cluster is known, and says so where that has changed.
func (p *Producer) tell(trouble *delivery.Error) {
	p.mu.Lock()
	before := p.told
	p.told = explain(trouble)
	if trouble != nil && !passing(trouble.Class) {
		p.trouble = trouble
	}
	known := p.leaders != nil
	p.mu.Unlock()
	switch {
	case p.told == before:
	case trouble == nil:
		p.log.Info("Kafka answers", "topic", p.topic)
	default:
		p.log.Warn("Kafka cannot be used", "class", string(trouble.Class), "why", p.told)
	}
	if trouble != nil && !passing(trouble.Class) && !known {
		p.failWaiting(trouble)
	}
}

// passing says that waiting may help.
func passing(c delivery.Class) bool { return c == delivery.Unavailable || c == delivery.UnknownOutcome }

// failed is told by a lane that its broker does not work with it.
func (p *Producer) failed(q *queue, trouble *delivery.Error) {
	p.askRefresh()
	if passing(trouble.Class) {
		return
	}
	p.log.Warn("A Kafka broker refuses", "class", string(trouble.Class), "why", explain(trouble))
	p.mu.Lock()
	waiting := p.drain(q)
	p.mu.Unlock()
	for _, it := range waiting {
		it.done <- result{err: trouble}
	}
}

// drain takes all items out of a queue. p.mu is held.
func (p *Producer) drain(q *queue) []*item {
	var items []*item
	for it := q.head; it != nil; it = q.head {
		q.remove(it)
		it.state = taken
		p.forget(it)
		items = append(items, it)
	}
	return items
}

// failWaiting answers all callers whose records wait.
func (p *Producer) failWaiting(why *delivery.Error) {
	p.mu.Lock()
	var waiting []*item
	for _, q := range p.queues {
		waiting = append(waiting, p.drain(q)...)
	}
	p.mu.Unlock()
	for _, it := range waiting {
		it.done <- result{err: why}
	}
}

// newProducerID asks a broker for an id.
func (p *Producer) newProducerID(ctx context.Context, leader int32) (producerID, error) {
	for {
		m, err := p.transport.RoundTrip(ctx, p.addr, &initRequest{ProducerID: -1, ProducerEpoch: -1, leader: leader})
		if err != nil {
			return producerID{}, err
		}
		r, ok := m.(*initproducerid.Response)
		if !ok {
			return producerID{}, errAnswer
		}
		switch code := kafkago.Error(r.ErrorCode); code {
		case 0:
			return producerID{r.ProducerID, r.ProducerEpoch}, nil
		case kafkago.GroupLoadInProgress: // a broker that has just started says so for a moment
			wait(ctx, firstBackoff)
		default:
			return producerID{}, code
		}
	}
}

// warm makes the connections of n idle lanes of each broker, and their producer ids where they have none, all at once so
// that each gets a connection of its own.
func (p *Producer) warm(ctx context.Context, n int) {
	p.mu.Lock()
	var lanes []*lane
	for leader, q := range p.queues {
		for i := 0; leader >= 0 && i < n && len(q.idle) > 0; i++ {
			last := len(q.idle) - 1
			lanes = append(lanes, q.idle[last])
			q.idle = q.idle[:last]
			q.busy++
		}
	}
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, l := range lanes {
		all.Go(func() {
			if l.ready {
				l.touch(ctx)
			} else {
				l.prepare(ctx)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			l.q.busy--
			l.q.idle = append(l.q.idle, l)
			p.start(l.q)
		})
	}
	all.Wait()
}

// Check makes a round trip to the leader of the topic's first partition. The error is a *delivery.Error.
func (p *Producer) Check(ctx context.Context) error {
	if _, err := p.lookUp(ctx); err != nil {
		p.askRefresh()
		return fail("look up the topic", err, false)
	}
	if err := p.ping(ctx, 0); err != nil {
		p.askRefresh()
		return fail("ask for the newest offset", err, false)
	}
	return nil
}

// ping asks the leader of a partition for its newest offset.
func (p *Producer) ping(ctx context.Context, partition int) error {
	res, err := p.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{
		Topics: map[string][]kafkago.OffsetRequest{p.topic: {kafkago.LastOffsetOf(partition)}},
	})
	if err != nil {
		return err
	}
	for _, q := range res.Topics[p.topic] {
		err = errors.Join(err, q.Error)
	}
	return err
}
