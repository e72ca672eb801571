package kafka

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
)

// repeat sends the same bytes again until the outcome of each batch is known, or end has come.
func (l *lane) repeat(ctx context.Context, batches []batch, end time.Time) {
	limit := l.p.attemptTimeout
	for backoff := time.Duration(0); len(batches) > 0; backoff = longer(backoff) {
		if backoff > 0 && slices.ContainsFunc(batches, unheard) {
			limit = max(limit, min(2*limit, maxAttemptTimeout))
		}
		if backoff > 0 || slices.ContainsFunc(batches, outdated) {
			l.p.keeper.fresh(ctx) // otherwise the first repeat goes to the broker that does not answer
		}
		wait(ctx, backoff)
		if ctx.Err() != nil || !time.Now().Before(end) {
			for i := range batches {
				batches[i].fail(delivery.UnknownOutcome)
			}
		} else {
			l.attemptAgain(ctx, batches, limit, end)
		}
		batches = l.p.settle(l, batches)
		if backoff == maxBackoff && len(batches) > 0 {
			l.p.report.trouble(wire.Fail("produce", batches[0].cause, true))
		}
	}
}

// outdated says that a batch's partition may have another leader by now.
func outdated(b batch) bool {
	c, answered := errors.AsType[wire.Code](b.cause)
	return answered && wire.RowOf(c).Is(wire.Stale) || unheard(b)
}

// unheard says that no answer arrived in time.
func unheard(b batch) bool { return errors.Is(b.cause, os.ErrDeadlineExceeded) }

// attemptAgain sends each batch to the current leader of its partition. It sends the batches of one leader together,
// and those for the broker that did not answer last.
func (l *lane) attemptAgain(ctx context.Context, batches []batch, limit time.Duration, end time.Time) {
	leaders := l.p.dispatcher.leaders()
	leaderOf := func(b *batch) int32 {
		if int(b.partition) >= len(leaders) { // the topic was deleted, and recreated with fewer
			return wire.NoLeader
		}
		return leaders[b.partition]
	}
	last := l.b.id
	slices.SortStableFunc(batches, func(a, b batch) int {
		x, y := leaderOf(&a), leaderOf(&b)
		if (x == last) != (y == last) {
			if x == last {
				return 1
			}
			return -1
		}
		return int(x) - int(y)
	})
	for len(batches) > 0 && ctx.Err() == nil && time.Now().Before(end) {
		leader := leaderOf(&batches[0])
		n := slices.IndexFunc(batches, func(b batch) bool { return leaderOf(&b) != leader })
		if n < 0 {
			n = len(batches)
		}
		if leader == wire.NoLeader {
			for i := range batches[:n] {
				batches[i].cause = wire.ErrNoLeader
			}
		} else {
			l.attemptAt(ctx, batches[:n], leader, limit)
		}
		batches = batches[n:]
	}
}

// attemptAt sends batches to a broker again, if that broker can know the lane's producer id.
func (l *lane) attemptAt(ctx context.Context, batches []batch, leader int32, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, l.p.attemptTimeout)
	defer cancel()
	err := l.reach(ctx, leader)
	if err == nil {
		err = l.verify(ctx, batches)
	}
	if err != nil {
		l.hangUp()
		for i := range batches {
			batches[i].cause = err
		}
		return
	}
	n := 0 // those that may be sent
	for i := range batches {
		if batches[i].conn == l.conn && batches[i].verdict == unknown {
			batches[n], batches[i] = batches[i], batches[n]
			n++
		}
	}
	if n > 0 {
		l.attempt(batches[:n], limit)
	}
}

// verify decides which batches may be repeated on the lane's connection if they were sent on another one before. An
// address can lead to another cluster than before: after a fail-over by DNS, or if a broker's disk was wiped. Such a
// cluster assigns the same producer ids again. It treats a batch with a known id, partition and sequence as a repeat,
// and answers that it is stored. So the connection must lead to the same cluster, topic and log. If it does not, or if
// that is unknown, the outcome stays unknown.
func (l *lane) verify(ctx context.Context, batches []batch) error {
	var partitions []int32
	for i := range batches {
		if batches[i].conn != l.conn {
			partitions = append(partitions, batches[i].partition)
		}
	}
	if len(partitions) == 0 {
		return nil
	}
	v, logs, err := l.look(ctx, partitions)
	if err != nil {
		return err
	}
	for i := range batches {
		b := &batches[i]
		if b.conn == l.conn {
			continue
		}
		switch log, ok := logs[b.partition]; {
		case !ok:
			b.cause = wire.ErrAnswer
		case log.err != wire.CodeNone:
			b.cause = log.err
			l.p.keeper.ask()
		default:
			l.admit(b, v, log)
		}
	}
	return nil
}

// logView describes a partition's log, according to its leader.
type logView struct {
	err   wire.Code
	end   int64 // the offset after the last record
	since mark  // the first record that is not older than the lane's last record
}

// look requests the topic's metadata and the logs of some partitions, with one round trip.
func (l *lane) look(ctx context.Context, partitions []int32) (*wire.View, map[int32]*logView, error) {
	deadline, _ := ctx.Deadline()
	k := l.conn
	if err := k.Begin(deadline); err != nil {
		return nil, nil, err
	}
	topic, err := k.SendMetadata(l.p.config.Topic)
	if err != nil {
		return nil, nil, err
	}
	ends, err := k.Send(l.offsets(partitions, func(int32) int64 { return wire.Latest }))
	if err != nil {
		return nil, nil, err
	}
	marks, err := k.Send(l.offsets(partitions, func(p int32) int64 { return l.stored[p].time }))
	if err != nil {
		return nil, nil, err
	}
	if k.View, err = k.ReceiveMetadata(topic); err != nil {
		return nil, nil, err
	}
	logs := map[int32]*logView{}
	if err := receiveOffsets(k, ends, func(p *listoffsets.ResponsePartition) {
		logs[p.Partition] = &logView{err: wire.Code(p.ErrorCode), end: p.Offset}
	}); err != nil {
		return nil, nil, err
	}
	err = receiveOffsets(k, marks, func(p *listoffsets.ResponsePartition) {
		if log := logs[p.Partition]; log != nil && p.ErrorCode == 0 {
			log.since = mark{p.Offset, p.Timestamp}
		}
	})
	return k.View, logs, err
}

func (l *lane) offsets(partitions []int32, at func(int32) int64) *listoffsets.Request {
	t := listoffsets.RequestTopic{Topic: l.p.config.Topic}
	for _, p := range partitions {
		t.Partitions = append(t.Partitions, listoffsets.RequestPartition{Partition: p, CurrentLeaderEpoch: -1, Timestamp: at(p)})
	}
	return &listoffsets.Request{ReplicaID: -1, Topics: []listoffsets.RequestTopic{t}}
}

func receiveOffsets(k *wire.Conn, r wire.Request, each func(*listoffsets.ResponsePartition)) error {
	answer, err := wire.AnswerAs[*listoffsets.Response](k.Receive(r))
	if err == nil && len(answer.Topics) != 1 {
		err = wire.ErrAnswer
	}
	if err != nil {
		return err
	}
	for i := range answer.Topics[0].Partitions {
		each(&answer.Topics[0].Partitions[i])
	}
	return nil
}

// admit permits a batch on the lane's connection, gives it up, or leaves it for a later look.
func (l *lane) admit(b *batch, v *wire.View, log *logView) {
	if v.Err != wire.CodeNone {
		b.cause = v.Err
		return
	}
	err := l.contradiction(b.partition, v, log)
	switch {
	case err != nil:
		b.cause = err
		b.fail(delivery.UnknownOutcome)
		l.p.report.trouble(&delivery.Error{Class: delivery.UnknownOutcome, Op: "send again", Err: err})
	case epochOf(v, b.partition) < epochOf(l.home, b.partition): // this broker does not know the last election yet
		b.cause = wire.ErrNoLeader
		l.p.keeper.ask()
	default:
		b.conn = l.conn
	}
}

// contradiction says why the lane's connection does not lead to the log for which its producer id is valid.
func (l *lane) contradiction(partition int32, v *wire.View, log *logView) error {
	none := [16]byte{}
	last := l.stored[partition]
	switch {
	case l.home.Cluster != v.Cluster && l.home.Cluster != "" && v.Cluster != "", last.time != 0 && log.end <= last.offset:
		return wire.ErrOtherLog
	case l.home.TopicID != none && v.TopicID != none: // a recreated topic has another one
		if l.home.TopicID != v.TopicID {
			return wire.ErrOtherLog
		}
		return nil
	case l.p.eventHubs: // a namespace is not wiped
		return nil
	case last.time == 0: // only a name says that it is the same cluster
		return wire.ErrNoProof
	case log.since.time != last.time || log.since.offset > last.offset: // in a new log all records are younger
		return wire.ErrOtherLog
	default:
		return nil
	}
}

// epochOf returns the epoch of a partition's leader, or -1 if unknown.
func epochOf(v *wire.View, partition int32) int32 {
	if int(partition) >= len(v.Partitions) {
		return -1
	}
	return v.Partitions[partition].Epoch
}
