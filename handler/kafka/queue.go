package kafka

import (
	"math"
	"slices"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// state is where an item is. It is guarded by Producer.mu.
type state int

const (
	waiting state = iota // in a queue
	taken                // in a lane's hands
	left                 // in a lane's hands, and its caller is gone
)

// item is a record on its way, and the caller that waits for it.
type item struct {
	record    registration.Record
	size      int
	partition int32
	mates     int         // most records that its batch may have; 0: any number
	done      chan result // takes one

	// The rest is guarded by Producer.mu.
	state      state
	queue      *queue // where it waits
	prev, next *item  // in the queue
}

// result is what becomes of an item.
type result struct {
	metadata delivery.RecordMetadata
	err      *delivery.Error
}

func (r result) unpack() (delivery.RecordMetadata, error) {
	if r.err != nil {
		return delivery.RecordMetadata{}, r.err
	}
	return r.metadata, nil
}

// queue holds the records that wait for one broker, in order. It is guarded by Producer.mu.
type queue struct {
	leader     int32
	head, tail *item
	len        int

	idle       []*lane // last in, first out: the warmest goes first
	busy       int     // lanes that collect or have a request in flight; one that repeats itself does not count
	collecting bool    // a lane is about to drain the queue: nobody need wake another
	watched    *item   // if it still waits after stuckAfter, the lanes that are out are no help
	// A broker that does not let lanes get ready is not asked to before until.
	until     time.Time
	backoff   time.Duration
	roundTrip floor
}

func (q *queue) pushBack(it *item) {
	it.prev, it.next = q.tail, nil
	if q.tail == nil {
		q.head = it
	} else {
		q.tail.next = it
	}
	q.tail = it
	q.len++
}

func (q *queue) pushFront(it *item) {
	it.prev, it.next = nil, q.head
	if q.head == nil {
		q.tail = it
	} else {
		q.head.prev = it
	}
	q.head = it
	q.len++
}

func (q *queue) remove(it *item) {
	if it.prev == nil {
		q.head = it.next
	} else {
		it.prev.next = it.next
	}
	if it.next == nil {
		q.tail = it.prev
	} else {
		it.next.prev = it.prev
	}
	it.prev, it.next = nil, nil
	q.len--
}

// Which lanes may be out. A request costs broker and client some 50-100 µs of CPU whatever it carries, so that many
// lanes are many small requests; with a long round trip few lanes are long waits.
const (
	lanesPerBroker = 8
	fewLanes       = 2                      // may always be out: one waits for its answer while the other collects
	perLane        = 500 * time.Microsecond // one more for every so much of a round trip
	bigBatch       = 32                     // so many waiting records are worth a request of their own
	// A record that waits longer than this while lanes are out waits for one whose broker or connection is stuck.
	stuckAfter = 25 * time.Millisecond
)

// mayOpen says whether one more lane may take what waits. With few out it always may: a record never waits for a timer.
func (q *queue) mayOpen() bool {
	if q.busy < fewLanes || q.len >= bigBatch {
		return true
	}
	r := q.roundTrip.get()
	return r != math.MaxInt64 && time.Duration(q.busy)*perLane < r
}

// open takes out an idle lane, which the caller must run, or returns nil. One that is ready goes first.
func (q *queue) open(now time.Time) *lane {
	i := len(q.idle) - 1
	for i >= 0 && !q.idle[i].ready {
		i--
	}
	if i < 0 {
		i = len(q.idle) - 1
		if i < 0 || now.Before(q.until) {
			return nil
		}
	}
	l := q.idle[i]
	q.idle = slices.Delete(q.idle, i, i+1)
	q.busy++
	q.collecting = l.ready // getting ready may take long; others may do better
	return l
}

// rest takes a lane back that was out.
func (q *queue) rest(l *lane) {
	q.busy--
	q.idle = append(q.idle, l)
}

// Caps of one request. Event Hubs wants less than 1,046,528 bytes of it, advises 1,000,000, and a single record has up to
// registration.MaxRecord.
const (
	maxRequestRecords = 2_000
	maxRequestBytes   = 1_000_000
)

// What a batch needed is kept for the next one up to this; many small records are below it, large profiles are rare.
const keptBytes = 128 << 10

// take moves what waits into batches, one for each partition, up to the caps. A partition is done with at the first
// record that does not fit, so that its order holds.
func (q *queue) take(batches []batch) []batch {
	bytes, records := 0, 0
	for it := q.head; it != nil && records < maxRequestRecords; {
		next := it.next
		var b *batch
		batches, b = batchFor(batches, it.partition)
		b.closed = b.closed || records > 0 && bytes+it.size > maxRequestBytes || !b.add(it)
		if !b.closed {
			q.remove(it)
			it.state = taken
			bytes += it.size
			records++
		}
		it = next
	}
	// Those of partitions whose first record did not fit.
	return slices.DeleteFunc(batches, func(b batch) bool { return len(b.items) == 0 })
}

// batchFor returns the batch of a partition, a new one if need be, whose memory may be that of an earlier batch.
func batchFor(batches []batch, partition int32) ([]batch, *batch) {
	for i := range batches {
		if batches[i].partition == partition {
			return batches, &batches[i]
		}
	}
	n := len(batches)
	if n < cap(batches) {
		batches = batches[:n+1]
	} else {
		batches = append(batches, batch{})
	}
	b := &batches[n]
	if b.shared || cap(b.encoded) > keptBytes {
		b.encoded = nil
	}
	*b = batch{partition: partition, items: b.items[:0], encoded: b.encoded[:0]}
	return batches, b
}

// floor keeps the smallest round trip of this and the previous second. An average would grow with the queue in the broker
// that too many lanes make, and then ask for more lanes.
type floor struct {
	now, before time.Duration
	since       time.Time
}

func newFloor() floor { return floor{now: math.MaxInt64, before: math.MaxInt64} }

func (f *floor) add(d time.Duration, at time.Time) {
	if at.Sub(f.since) > time.Second {
		f.before, f.now, f.since = f.now, math.MaxInt64, at
	}
	f.now = min(f.now, d)
}

func (f *floor) get() time.Duration { return min(f.now, f.before) }
