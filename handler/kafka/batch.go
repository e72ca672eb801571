package kafka

import (
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
)

// batch holds records of one partition that a lane sends together.
type batch struct {
	partition int32
	items     []*item
	encoded   []byte
	full      bool // takes no more
	limit     int  // largest number of records; 0: no limit

	// Of the attempts to store it.
	conn      *wire.Conn // verified for this batch: it leads to the cluster that assigned the producer id
	blocks    bool       // the other records of its partition wait for its outcome
	maybe     bool       // an attempt may have stored it: a repeat must have the same bytes
	verdict   verdict
	class     delivery.Class // where the verdict is failed
	cause     error          // the last error
	base      int64          // offset of the first record, where the verdict is stored
	time      time.Time      // of its records
	throttled time.Duration  // the broker's throttle time
}

// verdict is the result of an attempt for a batch.
type verdict int

const (
	unknown verdict = iota // it may be stored: the same bytes are sent again
	stored                 // the broker has it
	requeue                // certainly not stored: its records go back into the queue
	bisect                 // like requeue, in batches of half the size, because one record may be the cause
	failed                 // its callers get the error
)

// add puts an item into the batch, unless the batch then exceeds the limit of this or of another item.
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

// unanswered is the verdict for a batch without an answer. Without a producer id it is not repeated, because a repeat
// could make a copy.
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

// judge returns the verdict for a broker's answer. others says that the topic accepted other records a short time ago:
// only then can the record itself be the cause of a refusal.
func (b *batch) judge(c wire.Code, idempotent, others bool) {
	r := wire.RowOf(c)
	switch {
	case c == wire.CodeNone, c == wire.CodeDuplicateSequence:
		b.verdict = stored
	case !r.Is(wire.Spent | wire.NotStored):
		b.unanswered(true, idempotent)
	case b.maybe && r.Is(wire.Spent): // the broker cannot recognise a repeat any more
		b.fail(delivery.UnknownOutcome)
	case b.maybe: // a refusal says nothing about earlier attempts; a later answer may
		b.verdict = unknown
	default:
		b.refused(r, others)
	}
}

// refused is the verdict for a refused batch that no earlier attempt can have stored.
func (b *batch) refused(r wire.Row, others bool) {
	switch {
	case r.Is(wire.Spent), r.Class == delivery.Unavailable:
		b.verdict = requeue
	case r.Is(wire.OneRecord) && len(b.items) > 1:
		b.verdict = bisect
	case r.Class == delivery.Invalid && !others:
		b.fail(delivery.TopicRule) // the cause may be this record or a rule of the topic
	default:
		b.fail(r.Class)
	}
}
