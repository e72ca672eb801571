package kafka

import (
	"slices"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// place says where an item is.
type place int

const (
	inQueue   place = iota // its caller can take it back
	inBatch                // in a lane's hands
	abandoned              // in a lane's hands, and its caller is gone
)

// item is a record that is being stored, and its waiting caller.
type item struct {
	record    registration.Record
	size      int
	partition int32
	limit     int         // largest number of records in its batch; 0: no limit
	done      chan result // takes one

	// The rest is guarded by dispatcher.mu.
	place      place
	queue      *queue // that it waits in
	prev, next *item  // in the queue
}

// result is the outcome of an item.
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

// queue holds waiting records in order. It is guarded by dispatcher.mu.
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

// drain removes the items of a partition, or all if partition is nil, and returns them in order. They still count as
// records of the dispatcher.
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

// Limits of one request. Event Hubs accepts less than 1,046,528 bytes and advises 1,000,000; a single record has up to
// registration.MaxRecord.
const (
	maxRequestRecords = 2_000
	maxRequestBytes   = 1_000_000
)

// A batch's buffer is kept for the next batch up to this size. Many small records are below it; large profiles are
// rare.
const keptBytes = 128 << 10

// fill moves waiting records into batches, one for each partition, up to the limits. It stops with a partition at the
// first record that does not fit, to keep the order.
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
	// These batches belong to partitions whose first record does not fit.
	return slices.DeleteFunc(batches, func(b batch) bool { return len(b.items) == 0 })
}

// batchFor returns the batch of a partition. A new one may reuse the memory of an earlier batch.
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
