package kafka

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"userrelay/handler/delivery"
)

// repeat sends the same bytes again until the outcome of each batch is known, or end has come.
func (l *lane) repeat(ctx context.Context, batches []batch, end time.Time) {
	for backoff := time.Duration(0); len(batches) > 0; backoff = longer(backoff) {
		if backoff > 0 || slices.ContainsFunc(batches, outdated) {
			l.p.keeper.fresh(ctx) // else the first repeat goes to the broker that does not answer, again
		}
		wait(ctx, backoff)
		if ctx.Err() != nil || !time.Now().Before(end) {
			for i := range batches {
				batches[i].fail(delivery.UnknownOutcome)
			}
		} else {
			l.attemptAgain(ctx, batches, end)
		}
		batches = l.p.settle(l, batches)
		if backoff == maxBackoff && len(batches) > 0 {
			l.p.report.trouble(fail("produce", batches[0].cause, true))
		}
	}
}

// outdated says that a batch's partition may have another leader by now.
func outdated(b batch) bool {
	c, answered := errors.AsType[code](b.cause)
	return answered && rowOf(c).is(stale) || errors.Is(b.cause, os.ErrDeadlineExceeded)
}

// attemptAgain sends each batch to the broker that leads its partition now: those of one leader together, and first those
// whose leader is not the one that did not answer.
func (l *lane) attemptAgain(ctx context.Context, batches []batch, end time.Time) {
	leaders := l.p.dispatcher.leaders()
	leaderOf := func(b *batch) int32 {
		if int(b.partition) >= len(leaders) { // the topic was deleted, and created anew with fewer
			return noLeader
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
		if leader == noLeader {
			for i := range batches[:n] {
				batches[i].cause = errNoLeader
			}
		} else {
			l.attemptAt(ctx, batches[:n], leader)
		}
		batches = batches[n:]
	}
}

// attemptAt sends batches again to a broker, where it can be the one that knows the lane's producer id.
func (l *lane) attemptAt(ctx context.Context, batches []batch, leader int32) {
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
		if batches[i].link == l.link && batches[i].verdict == unknown {
			batches[n], batches[i] = batches[i], batches[n]
			n++
		}
	}
	if n > 0 {
		l.attempt(batches[:n])
	}
}

// verify decides which batches may be sent on the lane's connection, if it is not the one on which they were sent before.
// The cluster behind an address can be another one than before: fail-over by DNS, or a broker whose disk was wiped. It
// hands the same producer ids out again, takes a batch with an id, partition and sequence that it has for a repeat, and
// answers that it is stored. So the connection must lead to the same cluster, topic and log. Where it does not, or nobody
// can tell, the outcome stays unknown.
func (l *lane) verify(ctx context.Context, batches []batch) error {
	about := listoffsets.RequestTopic{Topic: l.p.config.Topic}
	for i := range batches {
		if batches[i].link != l.link {
			about.Partitions = append(about.Partitions, listoffsets.RequestPartition{
				Partition: batches[i].partition, CurrentLeaderEpoch: -1, Timestamp: latestOffset,
			})
		}
	}
	if len(about.Partitions) == 0 {
		return nil
	}
	v, logs, err := l.look(ctx, about)
	if err != nil {
		return err
	}
	for i := range batches {
		b := &batches[i]
		if b.link == l.link {
			continue
		}
		log := slices.IndexFunc(logs, func(p listoffsets.ResponsePartition) bool { return p.Partition == b.partition })
		switch {
		case log < 0:
			b.cause = errAnswer
		case logs[log].ErrorCode != 0:
			b.cause = code(logs[log].ErrorCode)
			l.p.keeper.ask()
		default:
			l.admit(b, v, logs[log].Offset)
		}
	}
	return nil
}

// look asks for the topic, and for the ends of partitions, with one round trip.
func (l *lane) look(ctx context.Context, about listoffsets.RequestTopic) (*view, []listoffsets.ResponsePartition, error) {
	deadline, _ := ctx.Deadline()
	k := l.link
	if err := k.begin(deadline); err != nil {
		return nil, nil, err
	}
	topic, err := k.sendMetadata(l.p.config.Topic)
	if err != nil {
		return nil, nil, err
	}
	ends, err := k.send(&listoffsets.Request{ReplicaID: -1, Topics: []listoffsets.RequestTopic{about}})
	if err != nil {
		return nil, nil, err
	}
	if k.view, err = k.receiveMetadata(topic); err != nil {
		return nil, nil, err
	}
	r, err := answerAs[*listoffsets.Response](k.receive(ends))
	if err == nil && len(r.Topics) != 1 {
		err = errAnswer
	}
	if err != nil {
		return nil, nil, err
	}
	return k.view, r.Topics[0].Partitions, nil
}

const latestOffset = -1 // of ListOffsets: behind the last record

var (
	errOtherLog = errors.New("another cluster or another topic answers")
	errNoProof  = errors.New("nobody can tell whether the same cluster answers")
)

// admit lets a batch be sent on the lane's connection, gives it up, or leaves it for a later look. end is the offset behind
// the last record of its partition.
func (l *lane) admit(b *batch, v *view, end int64) {
	ids := l.home.topicID != [16]byte{} && v.topicID != [16]byte{}
	before, now := epochOf(l.home, b.partition), epochOf(v, b.partition)
	var err error
	switch {
	case l.home.cluster != v.cluster && l.home.cluster != "" && v.cluster != "",
		ids && l.home.topicID != v.topicID,
		end < l.stored[b.partition],
		!ids && now >= 0 && now < before:
		err = errOtherLog
	case v.err != codeNone:
		b.cause = v.err
		return
	case now >= 0 && now < before: // this broker has not heard of the last election yet
		b.cause = errNoLeader
		l.p.keeper.ask()
		return
	case !ids && !l.p.eventHubs && l.stored[b.partition] == 0: // nothing but a name says that it is the same cluster
		err = errNoProof
	}
	if err == nil {
		b.link = l.link
		return
	}
	b.cause = err
	b.fail(delivery.UnknownOutcome)
	l.p.report.trouble(&delivery.Error{Class: delivery.UnknownOutcome, Op: "send again", Err: err})
}

// epochOf returns the epoch of a partition's leader, -1 where it is not known.
func epochOf(v *view, partition int32) int32 {
	if int(partition) >= len(v.partitions) {
		return -1
	}
	return v.partitions[partition].epoch
}
