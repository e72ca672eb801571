package kafka

import (
	"slices"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// place is where an item is.
type place int

const (
	inQueue   place = iota // its caller can take it back
	inBatch                // in a lane's hands
	abandoned              // in a lane's hands, and its caller is gone
)

// item is a record on its way, and the caller that waits for it.
type item struct {
	record    registration.Record
	size      int
	partition int32
	limit     int         // most records that its batch may have; 0: any number
	done      chan result // takes one

	// The rest is guarded by dispatcher.mu.
	place      place
	queue      *queue // that it waits in
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

// queue holds records that wait, in order. It is guarded by dispatcher.mu.
type queue struct {
	head, tail *item
	len        int
}

func (q *queue) pushBack(it *item) {
	it.place, it.queue = inQueue, q
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
	it.place, it.queue = inQueue, q
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

// drain takes out the items of a partition, or all where partition is nil, in order. They are still counted.
func (q *queue) drain(partition *int32) []*item {
	var items []*item
	for it := q.head; it != nil; {
		next := it.next
		if partition == nil || it.partition == *partition {
			q.remove(it)
			it.place = inBatch
			items = append(items, it)
		}
		it = next
	}
	return items
}

// Caps of one request. Event Hubs wants less than 1,046,528 bytes of it, advises 1,000,000, and a single record has up to
// registration.MaxRecord.
const (
	maxRequestRecords = 2_000
	maxRequestBytes   = 1_000_000
)

// What a batch needed is kept for the next one up to this; many small records are below it, large profiles are rare.
const keptBytes = 128 << 10

// fill moves what waits into batches, one for each partition, up to the caps. A partition is done with at the first
// record that does not fit, so that its order holds.
func (q *queue) fill(batches []batch) []batch {
	bytes, records := 0, 0
	for it := q.head; it != nil && records < maxRequestRecords; {
		next := it.next
		var b *batch
		batches, b = batchFor(batches, it.partition)
		b.full = b.full || records > 0 && bytes+it.size > maxRequestBytes || !b.add(it)
		if !b.full {
			q.remove(it)
			it.place = inBatch
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
	if cap(b.encoded) > keptBytes {
		b.encoded = nil
	}
	*b = batch{partition: partition, items: b.items[:0], encoded: b.encoded[:0]}
	return batches, b
}
