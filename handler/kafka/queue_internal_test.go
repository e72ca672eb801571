package kafka

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// TestFill checks that a request takes as much as it may, by partition. FuzzFill checks that it takes no more.
func TestFill(t *testing.T) {
	t.Parallel()
	const all = maxRequestBytes
	many := make([]*item, maxRequestRecords+10)
	for i := range many {
		many[i] = sizedItem(int32(i%3), 1)
	}
	few := sizedItem(0, 1)
	few.limit = 2
	for name, c := range map[string]struct {
		items []*item
		want  map[int32]int // records by partition
	}{
		"as many as may be":           {many, map[int32]int{0: 667, 1: 667, 2: 666}},
		"as many bytes as may be":     {[]*item{sizedItem(0, all/2), sizedItem(0, all/2), sizedItem(0, 1)}, map[int32]int{0: 2}},
		"one that is larger than all": {[]*item{sizedItem(0, all+1), sizedItem(0, 1)}, map[int32]int{0: 1}},
		"a large one behind others":   {[]*item{sizedItem(0, 1), sizedItem(0, all), sizedItem(0, 1)}, map[int32]int{0: 1}},
		"small ones behind another's": {[]*item{sizedItem(0, 2), sizedItem(1, all), sizedItem(0, 1)}, map[int32]int{0: 2}},
		"one that wants few":          {[]*item{sizedItem(1, 1), few, sizedItem(1, 1), sizedItem(0, 1), sizedItem(0, 1)}, map[int32]int{0: 2, 1: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[int32]int{}
			for _, b := range queueOf(c.items...).fill(nil) {
				got[b.partition] = len(b.items)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("records by partition (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzFill empties queues with any content and checks every resulting request. Three bytes of input make an item.
func FuzzFill(f *testing.F) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		content := make([]byte, 3*(1+r.IntN(500)))
		for i := range content {
			content[i] = byte(r.Uint32())
		}
		f.Add(content)
	}
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

// checkRequest checks a request against the limits, and against the next records of each partition, which it removes.
func checkRequest(t *testing.T, batches []batch, due map[int32][]*item) {
	t.Helper()
	records, bytes := 0, 0
	for i := range batches {
		b := &batches[i]
		if len(b.items) == 0 {
			t.Errorf("a batch without records for partition %d", b.partition)
		}
		for j, it := range b.items {
			if it != due[b.partition][j] {
				t.Errorf("partition %d: a record is not in its turn", b.partition)
			}
			if it.limit != 0 && len(b.items) > it.limit {
				t.Errorf("a record that may have %d mates is one of %d", it.limit, len(b.items))
			}
			if it.place != inBatch {
				t.Error("a record that was taken is not known as such")
			}
			bytes += it.size
		}
		records += len(b.items)
		due[b.partition] = due[b.partition][len(b.items):]
	}
	if records == 0 || records > maxRequestRecords {
		t.Errorf("%d records in a request", records)
	}
	if bytes > maxRequestBytes && records > 1 {
		t.Errorf("%d bytes in a request of %d records", bytes, records)
	}
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

func TestMayOpen(t *testing.T) {
	t.Parallel()
	const never = time.Duration(math.MaxInt64)
	for _, c := range []struct {
		busy, waiting int
		roundTrip     time.Duration
		want          bool
	}{
		{1, 1, never, true}, // few lanes
		{1, 1, 1, true},
		{2, bigBatch - 1, never, false},
		{2, bigBatch, never, true}, // many records
		{7, bigBatch, 1, true},
		{2, 1, time.Millisecond, false},
		{2, 1, time.Millisecond + 1, true}, // by the round trip
		{3, 1, time.Millisecond + 1, false},
	} {
		b := &broker{roundTrip: newFloor(), busy: c.busy}
		b.queue.len = c.waiting
		if c.roundTrip != never {
			b.roundTrip.add(c.roundTrip, time.Now())
		}
		if got := b.mayOpen(); got != c.want {
			t.Errorf("%+v: mayOpen = %v", c, got)
		}
	}
}

func TestFloor(t *testing.T) {
	t.Parallel()
	f, start := newFloor(), time.Unix(1_000_000, 0)
	for _, c := range []struct {
		at, d, want time.Duration // d took so long, and then the floor is want
	}{
		{0, 5, 5},
		{100 * time.Millisecond, 3, 3},
		{200 * time.Millisecond, 4, 3},
		{1100 * time.Millisecond, 9, 3}, // the second before still counts
		{2200 * time.Millisecond, 7, 7}, // and now no longer, 9 is the second before
		{11 * time.Second, 30, 7},
	} {
		f.add(c.d, start.Add(c.at))
		if f.get() != c.want {
			t.Errorf("at %v: floor is %v, want %v", c.at, int(f.get()), int(c.want))
		}
	}
}
