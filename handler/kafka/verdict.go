package kafka

import (
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"userrelay/handler/delivery"
)

// batch is the records of one partition in a lane's hands.
type batch struct {
	partition int32
	items     []*item
	encoded   []byte
	shared    bool // a request that was not answered may be reading encoded still
	closed    bool // takes no more
	mates     int  // most records that it may have; 0: any number

	holds   bool // its partition is held for it
	maybe   bool // an attempt may have stored it: only the same bytes may be sent again
	verdict verdict
	class   delivery.Class // where the verdict is failed
	cause   error          // what came last
	base    int64          // offset of the first record, where the verdict is stored
	time    time.Time      // of its records
}

// verdict says what an attempt has made of a batch.
type verdict int

const (
	open    verdict = iota // not known: the same bytes are sent again
	stored                 // the broker has it
	refused                // certainly not stored: its records may go out in other batches
	split                  // as refused, and the fault may be one record's
	failed                 // no use to go on
)

// add puts an item into the batch, unless it or one that is there may not have so many mates.
func (b *batch) add(it *item) bool {
	mates := b.mates
	if mates == 0 || it.mates != 0 && it.mates < mates {
		mates = it.mates
	}
	if n := len(b.items) + 1; n > 1 && mates != 0 && n > mates {
		return false
	}
	b.items, b.mates = append(b.items, it), mates
	return true
}

func (b *batch) fail(class delivery.Class) { b.verdict, b.class = failed, class }

// err is the error of a batch that has failed.
func (b *batch) err() *delivery.Error {
	return &delivery.Error{Class: b.class, Op: "produce", Err: b.cause}
}

// unanswered is the verdict where no answer came. Without a producer id a repeat could make a copy, so there is none.
func (b *batch) unanswered(maybe, idempotent bool) {
	b.maybe = b.maybe || maybe
	switch {
	case !b.maybe:
		b.verdict = refused
	case idempotent:
		b.verdict = open
	default:
		b.fail(delivery.UnknownOutcome)
	}
}

// judge is the verdict of a broker's answer. A refusal says nothing of earlier attempts: where one of them may have stored
// the batch, it stays unknown whether it did until the broker says so.
func (b *batch) judge(code kafkago.Error, idempotent bool) {
	class := classOfCode(code)
	switch {
	case code == 0, code == kafkago.DuplicateSequenceNumber:
		b.verdict = stored
	case outOfSequence(code):
		// The producer id is of no use any more. A first attempt is certainly not stored.
		b.verdict = refused
		if b.maybe {
			b.fail(delivery.UnknownOutcome)
		}
	case doubtful(code):
		b.unanswered(true, idempotent)
	case b.maybe && (class == delivery.Unavailable || class == delivery.Throttled): // it may take it in a moment
		b.verdict = open
	case b.maybe:
		b.fail(delivery.UnknownOutcome)
	case class == delivery.Unavailable:
		b.verdict = refused
	case len(b.items) > 1 && (class == delivery.TooLarge || class == delivery.Invalid):
		b.verdict = split
	default:
		b.fail(class)
	}
}

// doubtful says that a broker may have stored what it answers this code for. A leader that has appended a batch and
// waits for its replicas answers NOT_LEADER_OR_FOLLOWER, or UNKNOWN_TOPIC_OR_PARTITION, when it ceases to lead meanwhile
// (DelayedProduce in Kafka's source); the next leader may have the batch. So only codes of what a broker looks at before
// it appends make a batch certainly not stored.
func doubtful(code kafkago.Error) bool {
	return classOfCode(code) == delivery.UnknownOutcome || refreshes(code)
}

// outOfSequence says that a broker does not go on with a producer id, and does not have the batch because of it.
func outOfSequence(code kafkago.Error) bool {
	switch code {
	case kafkago.OutOfOrderSequenceNumber, kafkago.UnknownProducerId, kafkago.InvalidProducerEpoch, kafkago.ProducerFenced:
		return true
	default:
		return false
	}
}

// refreshes says that a code comes of metadata that are out of date.
func refreshes(code kafkago.Error) bool {
	switch code {
	case kafkago.UnknownTopicOrPartition, kafkago.LeaderNotAvailable, kafkago.NotLeaderForPartition,
		kafkago.FencedLeaderEpoch, kafkago.UnknownLeaderEpoch, kafkago.BrokerNotAvailable:
		return true
	default:
		return false
	}
}
