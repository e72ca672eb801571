package kafka

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

func itemsOf(records []registration.Record) []*item {
	items := make([]*item, len(records))
	for i, r := range records {
		items[i] = &item{record: r, size: r.Size(), done: make(chan result, 1)}
	}
	return items
}

// checkBatch encodes the records and compares them with what an independent decoder finds.
func checkBatch(t *testing.T, p wire.ProducerID, sequence int32, timestamp int64, records []registration.Record) {
	t.Helper()
	before := []byte("what is there already")
	encoded, ok := bytes.CutPrefix(appendBatch(before, p, sequence, timestamp, itemsOf(records)), before)
	if !ok {
		t.Fatal("what was there already is gone")
	}
	encoded = encoded[sizeField:]
	n := int32(len(records))
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
	if err != nil || len(decoded) != len(records) {
		t.Fatalf("%d records, want %d: %v", len(decoded), len(records), err)
	}
	size := 0
	for i, d := range decoded {
		size += records[i].Size()
		var headers []registration.Header
		for _, h := range d.Headers {
			headers = append(headers, registration.Header{Key: h.Key, Value: string(h.Value)})
		}
		if !bytes.Equal(d.Key, records[i].Key) || !bytes.Equal(d.Value, records[i].Value) || !slices.Equal(headers, records[i].Headers) {
			t.Errorf("record %d is another", i)
		}
		if int(d.OffsetDelta) != i || d.TimestampDelta64 != 0 {
			t.Errorf("record %d at %d, time %d", i, d.OffsetDelta, d.TimestampDelta64)
		}
	}
	if taken := len(encoded) - batchHeader; taken > size {
		t.Errorf("the records take %d bytes, Size says %d", taken, size)
	}
}

// TestBatch encodes as many records as a batch may have, random ones, and lengths at which varints become longer.
func TestBatch(t *testing.T) {
	t.Parallel()
	full := make([]registration.Record, maxRequestRecords)
	for i := range full {
		full[i] = registration.Record{Key: fmt.Append(nil, i), Value: fmt.Append(nil, -i)}
	}
	var edges []registration.Record
	for _, n := range []int{0, 62, 63, 64, 65, 8190, 8191, 8192, 8193, registration.MaxRecord, 1<<20 - 1, 1 << 20} {
		r := registration.Record{Key: bytes.Repeat([]byte("k"), n), Value: bytes.Repeat([]byte("v"), n)}
		for range max(1, 132-n) { // more than one byte of a varint can count
			r.Headers = append(r.Headers, registration.Header{Key: strings.Repeat("h", n), Value: strings.Repeat("w", n)})
		}
		edges = append(edges, r)
	}
	draw := rand.New(rand.NewPCG(1, 2))
	some := func(limit int) []byte {
		b := make([]byte, draw.IntN(limit))
		for i := range b {
			b[i] = byte(draw.Uint32())
		}
		return b
	}
	random := make([]registration.Record, 1000)
	for i := range random {
		random[i] = registration.Record{Key: some(100), Value: some(300)}
		for range draw.IntN(10) {
			random[i].Headers = append(random[i].Headers, registration.Header{Key: string(some(80)), Value: string(some(80))})
		}
	}
	for _, records := range [][]registration.Record{full, edges, random} {
		checkBatch(t, wire.ProducerID{ID: 4711, Epoch: 3}, 17, 1_700_000_000_123, records)
	}
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("auth0|1"), []byte(`{"userId":"auth0|1"}`), "ce_id", "e-1", uint8(1), int64(1), int16(0), int32(0), int64(1_700_000_000_123))
	f.Add([]byte{}, []byte{}, "", "", uint8(255), int64(-1), int16(-1), int32(-1), int64(0))
	f.Add([]byte("auth0|ümläut-日本"), []byte("\"\u2028\""), "ce_ü", "日", uint8(2), int64(1), int16(1), int32(1), int64(1))
	f.Add([]byte{0xff, 0}, bytes.Repeat([]byte("x"), 70_000), strings.Repeat("h", 64), "\xff", uint8(3), int64(math.MaxInt64), int16(math.MaxInt16), int32(math.MaxInt32), int64(1))
	f.Fuzz(func(t *testing.T, key, value []byte, headerKey, headerValue string, n uint8, id int64, epoch int16, sequence int32, timestamp int64) {
		var records []registration.Record
		n %= 20 // more of them show nothing new
		for i := range int(n) + 1 {
			r := registration.Record{Key: key[:len(key)*i/(int(n)+1)], Value: value}
			for range i % 4 {
				r.Headers = append(r.Headers, registration.Header{Key: headerKey, Value: headerValue})
			}
			records = append(records, r)
		}
		checkBatch(t, wire.ProducerID{ID: id, Epoch: epoch}, sequence, timestamp, records)
	})
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
	draw := rand.New(rand.NewPCG(1, 1))
	for _, partitions := range []int{1, 3, 4, 32, 100} {
		java := kgo.StickyKeyPartitioner(nil).ForTopic("t")
		used := map[int32]bool{}
		for n := range 4000 {
			key := make([]byte, n%80)
			for i := range key {
				key[i] = byte(draw.Uint32())
			}
			got := partitionOf(key, partitions)
			if want := java.Partition(&kgo.Record{Key: key}, partitions); int(got) != want {
				t.Errorf("key %q goes to %d of %d, want %d", key, got, partitions, want)
			}
			used[got] = true
		}
		if len(used) != partitions {
			t.Errorf("%d partitions of %d are used", len(used), partitions)
		}
	}
}
