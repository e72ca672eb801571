package kafka

import (
	"bytes"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

// FuzzFill empties queues with any content and checks every resulting request. Three bytes of input make an item.
func FuzzFill(f *testing.F) {
	for seed := range byte(50) {
		content := make([]byte, 3*50*(1+int(seed)))
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(content)
		f.Add(content)
	}
	f.Add(make([]byte, 3*(2*maxRequestRecords+1)))   // more records than fit
	f.Add(bytes.Repeat([]byte{255, 255 / 5, 0}, 10)) // five of them are as large as a request
	f.Fuzz(func(t *testing.T, content []byte) {
		due := map[int32][]*item{}
		q := &queue{}
		for ; len(content) >= 3; content = content[3:] {
			it := &item{partition: int32(content[0] % 5), size: 1 + 8*int(content[1])}
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
	q := &queue{}
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
		q := &queue{}
		q.pushBack(&item{size: size})
		batches := q.fill(nil)
		batches[0].encoded = make([]byte, size)
		q.pushBack(&item{partition: 3, size: 1})
		if again := q.fill(batches[:0]); (cap(again[0].encoded) > keptBytes-1) != kept || len(again[0].encoded) != 0 {
			t.Errorf("%d bytes of %d are kept", cap(again[0].encoded), size)
		}
	}
}

// FuzzBatch encodes up to as many records as a request may have, with 0 to headers headers each, and compares them with
// what an independent decoder finds.
func FuzzBatch(f *testing.F) {
	const now = 1_700_000_000_123
	f.Add([]byte("auth0|1"), []byte(`{"userId":"auth0|1"}`), "ce_id", "e-1", uint8(3), uint16(5), int64(1), int16(0), int32(0), int64(now))
	f.Add([]byte{}, []byte{}, "", "", uint8(0), uint16(1), int64(-1), int16(-1), int32(-1), int64(0))
	f.Add([]byte("auth0|ümläut-日本"), []byte("\"\u2028\""), "ce_ü", "日", uint8(2), uint16(100), int64(1), int16(1), int32(1), int64(1))
	f.Add([]byte{0xff, 0}, []byte("x"), "h", "\xff", uint8(1), uint16(maxRequestRecords-1),
		int64(math.MaxInt64), int16(math.MaxInt16), int32(math.MaxInt32), int64(1))
	for _, n := range []int{62, 63, 64, 65, 8190, 8191, 8192, 8193, registration.MaxRecord, 1<<20 - 1, 1 << 20} { // varints become longer
		f.Add(bytes.Repeat([]byte("k"), n), bytes.Repeat([]byte("v"), n), strings.Repeat("h", n), strings.Repeat("w", n),
			uint8(max(1, 132-n)), uint16(2), int64(4711), int16(3), int32(17), int64(now))
	}
	f.Fuzz(func(t *testing.T, key, value []byte, headerKey, headerValue string, headers uint8, n uint16,
		id int64, epoch int16, sequence int32, timestamp int64,
	) {
		var items []*item
		for i, size := 0, 0; i <= int(n)%maxRequestRecords && size < maxRequestBytes; i++ {
			r := registration.Record{Key: key[len(key)*i/(i+1):], Value: value}
			for range (int(headers) + i) % (int(headers) + 1) {
				r.Headers = append(r.Headers, registration.Header{Key: headerKey, Value: headerValue})
			}
			size += r.Size()
			items = append(items, &item{record: r, size: r.Size()})
		}
		checkBatch(t, wire.ProducerID{ID: id, Epoch: epoch}, sequence, timestamp, items)
	})
}

// checkBatch encodes records and compares them with what an independent decoder finds.
func checkBatch(t *testing.T, p wire.ProducerID, sequence int32, timestamp int64, items []*item) {
	t.Helper()
	before := []byte("what is there already")
	encoded, ok := bytes.CutPrefix(appendBatch(before, p, sequence, timestamp, items), before)
	if !ok {
		t.Fatal("what was there already is gone")
	}
	encoded = encoded[sizeField:]
	n := int32(len(items))
	want := kmsg.RecordBatch{
		Length: int32(len(encoded) - 12), PartitionLeaderEpoch: -1, Magic: 2,
		CRC:             int32(crc32.Checksum(encoded[21:], crc32.MakeTable(crc32.Castagnoli))),
		LastOffsetDelta: n - 1, FirstTimestamp: timestamp, MaxTimestamp: timestamp,
		ProducerID: p.ID, ProducerEpoch: p.Epoch, FirstSequence: sequence, NumRecords: n,
	}
	var got kmsg.RecordBatch
	if err := got.ReadFrom(encoded); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(want, "Records")); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	decoded, err := kfake.BatchRecords(got)
	if err != nil || len(decoded) != len(items) {
		t.Fatalf("%d records, want %d: %v", len(decoded), len(items), err)
	}
	for i, d := range decoded {
		r := items[i].record
		same := slices.EqualFunc(d.Headers, r.Headers, func(got kmsg.Header, want registration.Header) bool {
			return got.Key == want.Key && string(got.Value) == want.Value
		})
		if !same || !bytes.Equal(d.Key, r.Key) || !bytes.Equal(d.Value, r.Value) || int(d.OffsetDelta) != i || d.TimestampDelta64 != 0 {
			t.Errorf("record %d is another: %d, time %d", i, d.OffsetDelta, d.TimestampDelta64)
		}
	}
	if taken := len(encoded) - batchHeader; taken > sizeOf(items) {
		t.Errorf("the records take %d bytes, Size says %d", taken, sizeOf(items))
	}
}

// TestPartitions compares the choice of partition with that of franz-go, which is that of Kafka's Java client.
func TestPartitions(t *testing.T) {
	t.Parallel()
	java, draw := kgo.StickyKeyPartitioner(nil).ForTopic("t"), rand.NewChaCha8([32]byte{})
	for n := range 4000 {
		key := make([]byte, n%80)
		_, _ = draw.Read(key)
		for _, partitions := range []int{1, 3, 4, 32, 100} {
			if got, want := partitionOf(key, partitions), java.Partition(&kgo.Record{Key: key}, partitions); int(got) != want {
				t.Errorf("key %q goes to %d of %d, want %d", key, got, partitions, want)
			}
		}
	}
}

// TestVerdicts is the table of verdicts for answers. "again" means that the same bytes are sent again. An attempt that
// sent nothing leaves open what earlier ones did.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	silent := batch{maybe: true}
	if silent.unanswered(false, true); silent.verdict != unknown || !silent.maybe {
		t.Errorf("without an answer: verdict %v, perhaps stored: %v", silent.verdict, silent.maybe)
	}
	const unclear, unavailable, tooLarge = delivery.UnknownOutcome, delivery.Unavailable, delivery.TooLarge
	type end struct {
		verdict verdict
		class   delivery.Class // where the verdict is failed
	}
	again, back, done, halves := end{verdict: unknown}, end{verdict: requeue}, end{verdict: stored}, end{verdict: bisect}
	give := func(c delivery.Class) end { return end{failed, c} }
	lasting := func(c delivery.Class) [4]end { return [...]end{give(c), give(c), again, give(c)} }
	for _, c := range []struct {
		codes []int16
		class delivery.Class // of the codes themselves
		// Of a batch of one record that no earlier attempt may have stored, of such a batch of several records, of one that
		// an earlier attempt may have stored, and of the first attempt of a producer without an id.
		want [4]end
	}{
		{[]int16{0, 46}, unclear, [...]end{done, done, done, done}}, // with 46 the broker has the batch
		// Certainly not stored, and it may succeed soon.
		{[]int16{2, 9, 14, 19}, unavailable, [...]end{back, back, again, back}},
		// Perhaps stored. Nobody knows 999.
		{[]int16{3}, delivery.UnknownTopic, [...]end{again, again, again, give(unclear)}},
		{[]int16{5, 6, 8, 74, 75}, unavailable, [...]end{again, again, again, give(unclear)}},
		{[]int16{-1, 7, 13, 20, 56, 999}, unclear, [...]end{again, again, again, give(unclear)}},
		// The producer id cannot be used any more.
		{[]int16{45, 47, 59, 90}, unclear, [...]end{back, back, give(unclear), back}},
		// Perhaps caused by one record.
		{[]int16{10, 18}, tooLarge, [...]end{give(tooLarge), halves, again, give(tooLarge)}},
		{[]int16{87}, delivery.Invalid, [...]end{give(delivery.TopicRule), halves, again, give(delivery.TopicRule)}},
		// A quota is used up. That is temporary, but callers need not wait for it.
		{[]int16{44, 89}, delivery.Throttled, lasting(delivery.Throttled)},
		// This machine's clock, for all records of the batch.
		{[]int16{32}, delivery.TopicRule, lasting(delivery.TopicRule)},
		// Repeating does not help.
		{[]int16{17}, delivery.UnknownTopic, lasting(delivery.UnknownTopic)},
		{[]int16{29, 31, 58}, delivery.NotAuthorized, lasting(delivery.NotAuthorized)},
		{[]int16{42}, delivery.Fatal, lasting(delivery.Fatal)},
	} {
		for _, code := range c.codes {
			t.Run(strconv.Itoa(int(code)), func(t *testing.T) {
				t.Parallel()
				answer := wire.Code(code)
				if got := wire.RowOf(answer).Class; got != c.class {
					t.Errorf("class = %q, want %q", got, c.class)
				}
				one, two := make([]*item, 1), make([]*item, 2)
				batches := [4]batch{{items: one}, {items: two}, {items: two, maybe: true}, {items: one}}
				var got [4]end
				for i := range batches {
					b := &batches[i]
					b.judge(answer, i != 3, false)
					got[i] = end{b.verdict, b.class}
				}
				if !batches[2].maybe {
					t.Error("that it may be stored is forgotten")
				}
				if got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			})
		}
	}
}
