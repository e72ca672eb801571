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
	f.Fuzz(func(t *testing.T, key, value []byte, headerKey, headerValue string, headers uint8, n uint16, id int64, epoch int16, sequence int32, timestamp int64) {
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

// TestPartitions compares the choice of partition with that of Kafka's Java client: with the values of its own test of
// the hash (UtilsTest.testMurmur2), and for many keys with franz-go's, which is the same.
func TestPartitions(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("the hash of %q is %d, in Java %d", key, got, want)
		}
	}
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

// TestVerdicts is the table of verdicts for answers. "again" means that the same bytes are sent again.
func TestVerdicts(t *testing.T) {
	t.Parallel()
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
				var got [4]end
				for i, b := range []batch{{items: make([]*item, 1)}, {items: make([]*item, 2)}, {items: make([]*item, 2), maybe: true}, {items: make([]*item, 1)}} {
					before := b.maybe
					b.judge(answer, i != 3, false)
					got[i] = end{b.verdict, b.class}
					if before && !b.maybe {
						t.Error("that it may be stored is forgotten")
					}
				}
				if got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			})
		}
	}
}

// TestUnanswered has batches without an answer. An attempt that sent nothing leaves open what earlier ones did.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, maybe, idempotent bool
		want                      verdict
	}{
		{false, false, true, requeue}, {false, false, false, requeue}, {true, false, true, unknown}, {false, true, true, unknown}, {false, true, false, failed},
	} {
		b := batch{items: make([]*item, 1), maybe: c.before}
		if b.unanswered(c.maybe, c.idempotent); b.verdict != c.want || b.verdict == failed && b.class != delivery.UnknownOutcome {
			t.Errorf("%+v: verdict = %v, class %q", c, b.verdict, b.class)
		}
	}
}
