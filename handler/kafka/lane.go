package kafka

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"userrelay/handler/kafka/wire"
)

// lane sends batches to one broker, one request at a time, with its own producer id. Because only one request is in
// flight and every repeat has the same bytes, the broker can distinguish a repeat from a new batch (KIP-98). The lane
// owns its connection.
type lane struct {
	p *Producer
	b *broker

	connected bool // conn can be used, and id is valid on it. Guarded by dispatcher.mu while the lane is idle
	repeating bool // another lane has replaced it; it ends when its batches are settled
	urgent    bool // other lanes are stuck: it takes waiting records, however many lanes are busy. Guarded like connected

	conn     *wire.Conn      // nil: none
	id       wire.ProducerID // valid for the cluster home
	home     *wire.View      // the cluster's metadata, from the connection on which id was assigned
	sequence []int32         // next one, by partition
	stored   []mark          // the last record stored with id, by partition

	batches    []batch // memory for dispatcher.take
	topic      []rawproduce.RequestTopic
	partitions []rawproduce.RequestPartition
	readers    []bytes.Reader
}

// mark is a record that identifies a log. The zero mark means none.
type mark struct {
	offset int64
	time   int64 // in the log, ms since 1970
}

const (
	// For how long a batch with an unknown outcome is repeated. Leader changes take 3 to 13 s.
	giveUpAfter = 60 * time.Second
	// The time limit of the longest repeat. If Kafka needed longer than attemptTimeout for every batch, its answers
	// would otherwise never be received.
	maxAttemptTimeout = 20 * time.Second
)

// run sends waiting records until there are none, or the other busy lanes suffice. It owns the lane during that time.
func (l *lane) run(ctx context.Context) {
	for {
		if err := l.connect(ctx); err != nil {
			l.p.unable(l, true, err)
			return
		}
		l.gather()
		batches := l.p.dispatcher.take(l)
		if len(batches) == 0 {
			return
		}
		l.deliver(ctx, batches)
		if l.repeating {
			l.hangUp()
			return
		}
	}
}

// gather first lets other runnable goroutines add their records: callers that were just answered often send the next
// one. It repeats that while the number grows. Without other goroutines it costs less than a microsecond.
func (l *lane) gather() {
	for i, last := 0, -1; i < 4; i++ {
		runtime.Gosched()
		n := l.p.dispatcher.collect(l)
		if n == last {
			return
		}
		last = n
	}
}

// connect ensures that the lane has a connection to its broker, and a producer id that was assigned on this
// connection: an id is valid only in the cluster that assigned it, and there is no other way to know which cluster a
// connection leads to. With a new id all sequences start again.
func (l *lane) connect(ctx context.Context) error {
	remade := l.connected && l.p.cluster.Remade(l.home)
	if l.connected && l.usable(l.b.id) && !remade {
		return nil
	}
	if l.connected {
		l.connected = false
		l.p.dispatcher.connecting(l)
	}
	if remade {
		l.conn.View = nil // it is requested with the next id
	}
	ctx, cancel := context.WithTimeout(ctx, l.p.attemptTimeout)
	defer cancel()
	if err := l.reach(ctx, l.b.id); err != nil {
		return err
	}
	if err := l.newID(ctx); err != nil {
		return err
	}
	l.connected = true
	clear(l.sequence)
	clear(l.stored)
	l.p.dispatcher.able(l)
	return nil
}

// usable says whether the lane's connection may be used for a request to a broker.
func (l *lane) usable(broker int32) bool {
	if l.conn == nil || !l.conn.Good(time.Now()) {
		return false
	}
	address, err := l.p.cluster.Address(broker)
	return err == nil && address == l.conn.Address
}

// reach opens a connection to a broker if the lane has no usable one. It takes over the keeper's connection if there
// is one, which saves the first record the time for TCP, TLS, versions and login.
func (l *lane) reach(ctx context.Context, broker int32) error {
	if l.usable(broker) {
		return nil
	}
	l.hangUp()
	address, err := l.p.cluster.Address(broker)
	if err != nil {
		return err
	}
	l.conn, err = l.p.cluster.Get(ctx, address)
	return err
}

func (l *lane) hangUp() {
	l.connected = false
	if l.conn != nil {
		l.conn.HangUp()
		l.conn = nil
	}
}

// newID asks the broker for a producer id.
func (l *lane) newID(ctx context.Context) error {
	if !l.conn.Knows(protocol.InitProducerId) {
		l.id = wire.NoProducerID()
		l.p.plainOnce.Do(l.p.warnPlain)
		return nil
	}
	id, err := l.conn.NewProducerID(ctx, l.p.config.Topic)
	if err != nil {
		if _, answered := errors.AsType[wire.Code](err); !answered {
			l.hangUp()
		}
		return err
	}
	view := l.conn.View
	if view.Err != wire.CodeNone {
		l.conn.View = nil // it is requested again
		return view.Err   // without the topic's id it would be unknown later where a repeat may go
	}
	l.id, l.home = id, view
	return nil
}

// deliver sends batches until the outcome of each is known, or the lane gives up. Records that are certainly not
// stored go back into the queue.
func (l *lane) deliver(ctx context.Context, batches []batch) {
	began, stamp := time.Now(), l.p.config.Now()
	for i := range batches {
		l.encode(&batches[i], stamp)
	}
	l.attempt(batches, l.p.attemptTimeout)
	if unresolved := l.p.settle(l, batches); len(unresolved) > 0 {
		l.repeat(ctx, unresolved, began.Add(giveUpAfter))
	}
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *lane) encode(b *batch, stamp time.Time) {
	for int(b.partition) >= len(l.sequence) {
		l.sequence, l.stored = append(l.sequence, 0), append(l.stored, mark{})
	}
	b.time = stamp.Truncate(time.Millisecond)
	sequence := l.sequence[b.partition]
	if l.id.ID < 0 {
		sequence = -1
	}
	b.encoded = appendBatch(b.encoded, l.id, sequence, stamp.UnixMilli(), b.items)
}

// attempt sends batches on the lane's connection in one request, waits for the answer up to a time limit, and sets
// each batch's verdict.
func (l *lane) attempt(batches []batch, limit time.Duration) {
	for i := range batches {
		batches[i].conn = l.conn
	}
	start := time.Now()
	r, err := wire.Exchange[*produce.Response](l.conn, start.Add(limit), l.request(batches))
	if err == nil && len(r.Topics) != 1 {
		err = wire.ErrAnswer
	}
	if err == nil {
		now := time.Now()
		quiet := time.Duration(r.ThrottleTimeMs) * time.Millisecond
		l.p.dispatcher.answered(l, now.Sub(start), quiet, now)
		l.judge(batches, &r.Topics[0], max(quiet, 0))
		return
	}
	maybe := l.conn.Sent && !wire.NeverSent(err)
	l.p.dialer.Distrust(l.conn)
	l.hangUp()
	l.p.keeper.ask()
	for i := range batches {
		batches[i].cause = err
		batches[i].unanswered(maybe, l.id.ID >= 0)
	}
}

func (l *lane) request(batches []batch) *rawproduce.Request {
	if cap(l.readers) < len(batches) {
		l.readers = make([]bytes.Reader, len(batches))
	}
	l.partitions = l.partitions[:0]
	for i := range batches {
		r := &l.readers[:cap(l.readers)][i]
		r.Reset(batches[i].encoded)
		l.partitions = append(l.partitions, rawproduce.RequestPartition{
			Partition: batches[i].partition, RecordSet: protocol.RawRecordSet{Reader: r},
		})
	}
	l.topic = append(l.topic[:0], rawproduce.RequestTopic{Topic: l.p.config.Topic, Partitions: l.partitions})
	return &rawproduce.Request{Acks: wire.AcksAll, Timeout: int32(l.p.brokerTimeout.Milliseconds()), Topics: l.topic}
}

// judge sets the verdicts according to a broker's answer.
func (l *lane) judge(batches []batch, topic *produce.ResponseTopic, throttled time.Duration) {
	for i := range batches {
		b := &batches[i]
		answer := find(topic.Partitions, b.partition)
		if answer == nil {
			b.cause = wire.ErrAnswer
			b.unanswered(true, l.id.ID >= 0)
			continue
		}
		c := wire.Code(answer.ErrorCode)
		b.cause, b.throttled = c, throttled
		others := false
		if c != wire.CodeNone {
			others = l.p.dispatcher.tookLately(time.Now())
			if wire.RowOf(c).Is(wire.Stale) {
				l.p.keeper.ask()
			}
		}
		b.judge(c, l.id.ID >= 0, others)
		switch {
		case b.verdict == stored:
			b.base = answer.BaseOffset
			if answer.LogAppendTime > 0 {
				b.time = time.UnixMilli(answer.LogAppendTime)
			}
			l.sequence[b.partition] = (l.sequence[b.partition] + int32(len(b.items))) & math.MaxInt32
			if b.base >= 0 {
				l.stored[b.partition] = mark{b.base + int64(len(b.items)) - 1, b.time.UnixMilli()}
			}
		case b.verdict == requeue, b.verdict == failed && !wire.RowOf(c).Is(wire.OneRecord):
			// If the broker had stored it nevertheless, it would treat the next batch as its repeat, and not store
			// that.
			l.connected = false
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
