package kafka

import (
	"math/rand/v2"
	"slices"
	"testing"

	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

// queueOf returns a queue that holds items of these partitions and sizes, in order.
func queueOf(items ...*item) *queue {
	q := &queue{}
	for _, it := range items {
		q.pushBack(it)
	}
	return q
}

func sizedItem(partition int32, size int) *item { return &item{partition: partition, size: size} }

// FuzzFill empties queues with any content and checks every resulting request. Three bytes of input make an item.
func FuzzFill(f *testing.F) {
	for seed := range byte(50) {
		content := make([]byte, 3*50*(1+int(seed)))
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(content)
		f.Add(content)
	}
	f.Add(make([]byte, 3*(2*maxRequestRecords+1)))
	f.Fuzz(func(t *testing.T, content []byte) {
		due := map[int32][]*item{}
		q := queueOf()
		for ; len(content) >= 3; content = content[3:] {
			it := sizedItem(int32(content[0]%5), 1+8*int(content[1]))
			if content[0] > 240 {
				it.size = registration.MaxRecord * int(content[1]) / 255
			}
			if content[2] > 230 {
				it.limit = int(content[2] - 230)
			}
			due[it.partition] = append(due[it.partition], it)
			q.pushBack(it)
		}
		for batches := []batch(nil); q.len > 0; {
			batches = q.fill(batches[:0])
			checkRequest(t, batches, due)
			if t.Failed() {
				return
			}
		}
		for partition, left := range due {
			if len(left) > 0 {
				t.Errorf("%d records of partition %d are lost", len(left), partition)
			}
		}
	})
}

// checkRequest checks that a request is within the limits, and that it has the next records of each partition, which it
// removes from due, as long as they fit.
func checkRequest(t *testing.T, batches []batch, due map[int32][]*item) {
	t.Helper()
	records, bytes := 0, 0
	taken := map[int32]*batch{}
	for i := range batches {
		b := &batches[i]
		taken[b.partition] = b
		if len(b.items) == 0 {
			t.Errorf("a batch without records for partition %d", b.partition)
		}
		for j, it := range b.items {
			if it != due[b.partition][j] || it.place != inBatch {
				t.Errorf("partition %d: a record is not in its turn, or not known as taken", b.partition)
			}
			if it.limit != 0 && len(b.items) > it.limit {
				t.Errorf("a record that may have %d mates is one of %d", it.limit, len(b.items))
			}
			bytes += it.size
		}
		records += len(b.items)
		due[b.partition] = due[b.partition][len(b.items):]
	}
	if records == 0 || records > maxRequestRecords || bytes > maxRequestBytes && records > 1 {
		t.Errorf("%d records of %d bytes in a request", records, bytes)
	}
	for partition, left := range due {
		if len(left) == 0 || records == maxRequestRecords || bytes+left[0].size > maxRequestBytes {
			continue
		}
		if b := taken[partition]; b == nil || !full(b, left[0]) {
			t.Errorf("partition %d: a record of %d bytes waits, and a request has %d of %d bytes", partition, left[0].size, records, bytes)
		}
	}
}

// full says that one more record would have more mates than it or another may have.
func full(b *batch, more *item) bool {
	return slices.ContainsFunc(append([]*item{more}, b.items...), func(it *item) bool { return it.limit != 0 && len(b.items) >= it.limit })
}

// A request with the largest number of records and partitions is smaller than the size at which Event Hubs closes the
// connection.
func TestLargestRequest(t *testing.T) {
	t.Parallel()
	const (
		eventHubs  = 1_046_528
		partitions = 200
		envelope   = 200 // header, client id, topic
		perBatch   = 12  // partition and lengths around a batch
	)
	q := queueOf()
	for i := range maxRequestRecords {
		r := registration.Record{Value: make([]byte, maxRequestBytes/maxRequestRecords-32)}
		q.pushBack(&item{record: r, size: r.Size(), partition: int32(i % partitions)})
	}
	batches := q.fill(nil)
	if q.len != 0 {
		t.Fatalf("%d records do not fit, the test is wrong", q.len)
	}
	size := envelope
	for i := range batches {
		size += perBatch + len(appendBatch(nil, wire.NoProducerID(), 0, 0, batches[i].items))
	}
	if size >= eventHubs {
		t.Errorf("a request takes %d bytes", size)
	}
}

// A lane reuses the memory of its batches, but not that of large ones.
func TestMemoryOfBatches(t *testing.T) {
	t.Parallel()
	for size, kept := range map[int]bool{keptBytes: true, keptBytes + 1: false} {
		batches := queueOf(sizedItem(0, size)).fill(nil)
		batches[0].encoded = make([]byte, size)
		if again := queueOf(sizedItem(3, 1)).fill(batches[:0]); (cap(again[0].encoded) > keptBytes-1) != kept || len(again[0].encoded) != 0 {
			t.Errorf("%d bytes of %d are kept", cap(again[0].encoded), size)
		}
	}
}
