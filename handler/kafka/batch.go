package kafka

import (
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
)

// batch is the records of one partition in a lane's hands.
type batch struct {
	partition int32
	items     []*item
	encoded   []byte
	full      bool // takes no more
	limit     int  // most records that it may have; 0: any number

	// Of the attempts to store it.
	conn      *wire.Conn // it may be sent on: it leads to the cluster that gave its producer id
	blocks    bool       // its partition's other records wait for its outcome
	maybe     bool       // an attempt may have stored it: only the same bytes may be sent again
	verdict   verdict
	class     delivery.Class // where the verdict is failed
	cause     error          // what came last
	base      int64          // offset of the first record, where the verdict is stored
	time      time.Time      // of its records
	throttled time.Duration  // for how long the broker wants to be left alone
}

// verdict says what an attempt has made of a batch.
type verdict int

const (
	unknown verdict = iota // it may be stored: the same bytes are sent again
	stored                 // the broker has it
	requeue                // certainly not stored: its records go back into the queue
	bisect                 // as requeue, and one record may be at fault: into batches of half the size
	failed                 // its callers get the error
)

// add puts an item into the batch, unless it or one that is there wants fewer beside it.
func (b *batch) add(it *item) bool {
	limit := b.limit
	if limit == 0 || it.limit != 0 && it.limit < limit {
		limit = it.limit
	}
	if n := len(b.items) + 1; n > 1 && limit != 0 && n > limit {
		return false
	}
	b.items, b.limit = append(b.items, it), limit
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
		b.verdict = requeue
	case idempotent:
		b.verdict = unknown
	default:
		b.fail(delivery.UnknownOutcome)
	}
}

// judge is the verdict of a broker's answer. others says that the topic took other records lately: only then is a record
// refused for its own fault.
func (b *batch) judge(c wire.Code, idempotent, others bool) {
	r := wire.RowOf(c)
	switch {
	case c == wire.CodeNone, c == wire.CodeDuplicateSequence:
		b.verdict = stored
	case !r.Is(wire.Spent | wire.NotStored):
		b.unanswered(true, idempotent)
	case b.maybe && r.Is(wire.Spent): // no repeat can be recognised any more
		b.fail(delivery.UnknownOutcome)
	case b.maybe: // a refusal says nothing of earlier attempts; the broker may tell of them when it refuses no more
		b.verdict = unknown
	default:
		b.refused(r, others)
	}
}

// refused is the verdict where no attempt has stored the batch.
func (b *batch) refused(r wire.Row, others bool) {
	switch {
	case r.Is(wire.Spent), r.Class == delivery.Unavailable:
		b.verdict = requeue
	case r.Is(wire.OneRecord) && len(b.items) > 1:
		b.verdict = bisect
	case r.Class == delivery.Invalid && !others:
		b.fail(delivery.TopicRule) // nobody knows whether it is this record's fault or the topic's rule
	default:
		b.fail(r.Class)
	}
}
