package kafka

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"userrelay/handler/delivery"
)

// lane sends batches to one broker, one request at a time, as a producer of its own: with one request under way and the
// same bytes for every repeat, the broker can tell a repeat from a new batch (KIP-98).
type lane struct {
	p *Producer
	q *queue

	ready     bool // the broker answered lately, and id is good
	replaced  bool // another has its place in the queue; it ends with what it has in hand
	id        producerID
	sequence  []int32 // next one, by partition
	batches   []batch // memory for take
	topic     []rawproduce.RequestTopic
	partition []rawproduce.RequestPartition
	readers   []bytes.Reader
}

// run takes what waits and sends it, until nothing does or others are enough. It owns the lane meanwhile.
func (l *lane) run(ctx context.Context) {
	for {
		if !l.ready {
			if err := l.prepare(ctx); err != nil {
				l.p.unable(l, err)
				return
			}
		}
		l.gather()
		batches := l.take()
		if len(batches) == 0 {
			return
		}
		l.deliver(ctx, batches)
		if l.replaced {
			return
		}
	}
}

// gather lets those goroutines hand in their records first that can run now: callers who were just answered come back
// with the next one. It goes on while that helps; without others it costs less than a microsecond.
func (l *lane) gather() {
	for i, last := 0, -1; i < 4; i++ {
		runtime.Gosched()
		l.p.mu.Lock()
		l.q.collecting = true
		n := l.q.len
		l.p.mu.Unlock()
		if n == last {
			return
		}
		last = n
	}
}

// take returns what waits, or nothing, and then the lane is idle and no longer the goroutine's.
func (l *lane) take() []batch {
	p, q := l.p, l.q
	p.mu.Lock()
	defer p.mu.Unlock()
	q.collecting = false
	q.busy-- // while it asks, a lane does not count itself
	if q.len == 0 || p.ended || !q.mayOpen() {
		q.idle = append(q.idle, l)
		p.start(q) // watches what waits for a lane that is out: there is one, or mayOpen would have said yes
		return nil
	}
	q.busy++
	batches := q.take(l.batches[:0])
	l.batches = batches
	p.start(q) // for what is over the caps
	return batches
}

// prepare opens the lane's connection and gets it a producer id, both by one request to its broker. A new id makes all
// sequences start again.
func (l *lane) prepare(ctx context.Context) error {
	if !l.p.idempotent() {
		l.id, l.ready = noProducerID(), true
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.p.attemptTimeout)
	defer cancel()
	id, err := l.p.newProducerID(ctx, l.q.leader)
	if err != nil {
		return err
	}
	l.id, l.ready = id, true
	clear(l.sequence)
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.q.until, l.q.backoff = time.Time{}, 0
	return nil
}

// touch keeps the lane's connection from being idle for too long.
func (l *lane) touch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := l.p.askMetadata(ctx, l.q.leader); err != nil {
		l.p.askRefresh()
	}
}

var errAnswer = errors.New("the broker's answer does not fit the request")

// deliver sends the batches until the fate of each is known, or given up. What is certainly not stored goes back into
// the queue.
func (l *lane) deliver(ctx context.Context, batches []batch) {
	now := time.Now()
	for i := range batches {
		l.encode(&batches[i], now)
	}
	l.attempt(ctx, batches, l.q.leader)
	unknown := l.p.settle(l, batches)
	for backoff := time.Duration(0); len(unknown) > 0; backoff = longer(backoff) {
		l.p.pause(ctx, backoff)
		if ctx.Err() != nil || time.Since(now) > giveUpAfter {
			for i := range unknown {
				unknown[i].fail(delivery.UnknownOutcome)
			}
			l.p.settle(l, unknown)
			return
		}
		if backoff == maxBackoff {
			l.p.complain(fail("produce", unknown[0].cause, true))
		}
		for i := range unknown { // one by one: their partitions may have different leaders by now
			if time.Since(now) > giveUpAfter {
				break // an attempt may take long, and there may be many
			}
			l.attempt(ctx, unknown[i:i+1], l.p.leaderNow(unknown[i].partition))
		}
		unknown = l.p.settle(l, unknown)
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *lane) encode(b *batch, now time.Time) {
	for int(b.partition) >= len(l.sequence) {
		l.sequence = append(l.sequence, 0)
	}
	b.time = now.Truncate(time.Millisecond)
	sequence := l.sequence[b.partition]
	if l.id.id < 0 {
		sequence = -1
	}
	b.encoded = appendBatch(b.encoded, l.id, sequence, now.UnixMilli(), b.items)
}

// attempt sends the batches to a broker in one request, and gives each its verdict.
func (l *lane) attempt(ctx context.Context, batches []batch, broker int32) {
	ctx, cancel := context.WithTimeout(ctx, l.p.attemptTimeout)
	defer cancel()
	var (
		request *produceRequest
		sent    time.Time
		m       protocol.Message
		err     = errStale
	)
	for errors.Is(err, errStale) { // another connection may do: there are not many, and a new one is not stale
		request, sent = l.request(batches, broker), time.Now()
		m, err = l.p.transport.RoundTrip(ctx, l.p.addr, request)
	}
	if err == nil {
		if r, ok := m.(*produce.Response); ok && len(r.Topics) == 1 {
			l.p.took(l.q, time.Since(sent))
			l.read(batches, &r.Topics[0])
			return
		}
		err = errAnswer
	}
	// The request may be under way still, and with it what it points to.
	l.topic, l.partition, l.readers = nil, nil, nil
	l.p.askRefresh()
	unsent := request.withdraw()
	if unsent { // not even a connection: the broker is asked for a sign of life before it gets more
		l.ready = false
	}
	maybe := !unsent && !neverSent(err)
	for i := range batches {
		batches[i].shared, batches[i].cause = true, err
		batches[i].unanswered(maybe, l.id.id >= 0)
	}
}

func (l *lane) request(batches []batch, broker int32) *produceRequest {
	if cap(l.readers) < len(batches) {
		l.readers = make([]bytes.Reader, len(batches))
	}
	l.partition = l.partition[:0]
	for i := range batches {
		r := &l.readers[:cap(l.readers)][i]
		r.Reset(batches[i].encoded)
		l.partition = append(l.partition, rawproduce.RequestPartition{
			Partition: batches[i].partition, RecordSet: protocol.RawRecordSet{Reader: r},
		})
	}
	l.topic = append(l.topic[:0], rawproduce.RequestTopic{Topic: l.p.topic, Partitions: l.partition})
	return &produceRequest{
		Acks: int16(kafkago.RequireAll), Timeout: int32(l.p.brokerTimeout.Milliseconds()), Topics: l.topic,
		to: broker,
	}
}

// read gives the verdicts of a broker's answer.
func (l *lane) read(batches []batch, topic *produce.ResponseTopic) {
	for i := range batches {
		b := &batches[i]
		answer := find(topic.Partitions, b.partition)
		if answer == nil {
			b.cause = errAnswer
			b.unanswered(true, l.id.id >= 0)
			continue
		}
		code := kafkago.Error(answer.ErrorCode)
		b.cause = code
		b.judge(code, l.id.id >= 0)
		if refreshes(code) {
			l.p.askRefresh()
		}
		switch {
		case b.verdict == stored:
			b.base = answer.BaseOffset
			if answer.LogAppendTime > 0 {
				b.time = time.UnixMilli(answer.LogAppendTime)
			}
			l.sequence[b.partition] = (l.sequence[b.partition] + int32(len(b.items))) & math.MaxInt32
		case b.verdict == refused, b.verdict == failed && b.class != delivery.TooLarge && b.class != delivery.Invalid:
			// If the broker had stored it all the same, it would take the next batch for its repeat, and not store that.
			l.ready = false
		}
	}
}

func find(partitions []produce.ResponsePartition, id int32) *produce.ResponsePartition {
	for i := range partitions {
		if partitions[i].Partition == id {
			return &partitions[i]
		}
	}
	return nil
}
