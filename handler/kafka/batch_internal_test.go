package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

// decoded is a record as an independent decoder returns it.
type decoded struct {
	Offset    int64
	Timestamp int64
	Key       string
	Value     string
	Headers   []registration.Header
}

func itemsOf(records []registration.Record) []*item {
	items := make([]*item, len(records))
	for i, r := range records {
		items[i] = &item{record: r, size: r.Size()}
	}
	return items
}

func wanted(records []registration.Record, timestamp int64) []decoded {
	var all []decoded
	for i, r := range records {
		d := decoded{Offset: int64(i), Timestamp: timestamp, Key: string(r.Key), Value: string(r.Value)}
		d.Headers = append(d.Headers, r.Headers...)
		all = append(all, d)
	}
	return all
}

// byFranz decodes a batch with the packages of franz-go.
func byFranz(t *testing.T, encoded []byte) (kmsg.RecordBatch, []decoded) {
	t.Helper()
	var b kmsg.RecordBatch
	if err := b.ReadFrom(encoded[sizeField:]); err != nil {
		t.Fatalf("franz-go: %v", err)
	}
	records, err := kfake.BatchRecords(b)
	if err != nil {
		t.Fatalf("franz-go: %v", err)
	}
	var all []decoded
	for i := range records {
		r := &records[i]
		d := decoded{
			Offset: b.FirstOffset + int64(r.OffsetDelta), Timestamp: b.FirstTimestamp + r.TimestampDelta64,
			Key: string(r.Key), Value: string(r.Value),
		}
		for _, h := range r.Headers {
			d.Headers = append(d.Headers, registration.Header{Key: h.Key, Value: string(h.Value)})
		}
		all = append(all, d)
	}
	return b, all
}

// byKafkaGo decodes a batch with kafka-go, whose writer is not used here.
func byKafkaGo(t *testing.T, encoded []byte) []decoded {
	t.Helper()
	var set protocol.RecordSet
	if _, err := set.ReadFrom(bytes.NewReader(encoded)); err != nil {
		t.Fatalf("kafka-go: %v", err)
	}
	var all []decoded
	for {
		r, err := set.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("kafka-go: %v", err)
		}
		d := decoded{Offset: r.Offset, Timestamp: r.Time.UnixMilli(), Key: text(t, r.Key), Value: text(t, r.Value)}
		for _, h := range r.Headers {
			d.Headers = append(d.Headers, registration.Header{Key: h.Key, Value: string(h.Value)})
		}
		all = append(all, d)
	}
}

func text(t *testing.T, b protocol.Bytes) string {
	t.Helper()
	all, err := protocol.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// checkBatch encodes the records and compares them with the output of two decoders.
func checkBatch(t *testing.T, p wire.ProducerID, sequence int32, timestamp int64, records []registration.Record) {
	t.Helper()
	before := []byte("what is there already")
	encoded, ok := bytes.CutPrefix(appendBatch(before, p, sequence, timestamp, itemsOf(records)), before)
	if !ok {
		t.Fatal("what was there already is gone")
	}
	b, all := byFranz(t, encoded)
	want := wanted(records, timestamp)
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("records by franz-go (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, byKafkaGo(t, encoded)); diff != "" {
		t.Errorf("records by kafka-go (-want +got):\n%s", diff)
	}
	size := 0
	for i := range records {
		size += records[i].Size()
	}
	const header = 61 // of a batch, up to its records
	if n := len(encoded) - sizeField - header; n > size {
		t.Errorf("the records take %d bytes, Size says %d", n, size)
	}
	type fields struct {
		FirstOffset    int64
		Length, Epoch  int32
		Magic          int8
		CRC            int32
		Attributes     int16
		LastDelta      int32
		First, Max     int64
		ID             int64
		ProducerEpoch  int16
		Sequence, Many int32
	}
	if diff := cmp.Diff(fields{
		Length: int32(len(encoded) - sizeField - 12), Epoch: -1, Magic: 2,
		CRC:       int32(crc32.Checksum(encoded[sizeField+21:], crc32.MakeTable(crc32.Castagnoli))),
		LastDelta: int32(len(records) - 1), First: timestamp, Max: timestamp,
		ID: p.ID, ProducerEpoch: p.Epoch, Sequence: sequence, Many: int32(len(records)),
	}, fields{
		b.FirstOffset, b.Length, b.PartitionLeaderEpoch, b.Magic, b.CRC, b.Attributes, b.LastOffsetDelta,
		b.FirstTimestamp, b.MaxTimestamp, b.ProducerID, b.ProducerEpoch, b.FirstSequence, b.NumRecords,
	}); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	header := registration.Header{Key: "ce_id", Value: "e-1"}
	small := registration.Record{Key: []byte("auth0|1"), Value: []byte(`{"userId":"auth0|1"}`), Headers: []registration.Header{header}}
	large := small
	large.Value = bytes.Repeat([]byte("x"), registration.MaxRecord)
	many := small
	many.Headers = nil
	for i := range 70 { // two bytes of a varint
		many.Headers = append(many.Headers, registration.Header{Key: strconv.Itoa(i), Value: strings.Repeat("v", i)})
	}
	full := make([]registration.Record, maxRequestRecords)
	for i := range full {
		full[i] = registration.Record{Key: fmt.Append(nil, i), Value: fmt.Append(nil, -i)}
	}
	id := wire.ProducerID{ID: 4711, Epoch: 3}
	for name, c := range map[string]struct {
		id       wire.ProducerID
		sequence int32
		records  []registration.Record
	}{
		"one":                  {id, 0, []registration.Record{small}},
		"two":                  {id, 17, []registration.Record{small, small}},
		"without an id":        {wire.NoProducerID(), -1, []registration.Record{small}},
		"largest numbers":      {wire.ProducerID{ID: math.MaxInt64, Epoch: math.MaxInt16}, math.MaxInt32, []registration.Record{small}},
		"empty":                {id, 1, []registration.Record{{Key: []byte{}, Value: []byte{}}}},
		"empty header":         {id, 1, []registration.Record{{Key: []byte("k"), Value: []byte("v"), Headers: []registration.Header{{}}}}},
		"non-ASCII":            {id, 1, []registration.Record{{Key: []byte("auth0|ümläut-日本"), Value: []byte("\"\u2028\""), Headers: []registration.Header{{Key: "ce_ü", Value: "日"}}}}},
		"invalid UTF-8":        {id, 1, []registration.Record{{Key: []byte{0xff, 0}, Value: []byte{0xc0, 0x80}}}},
		"large":                {id, 1, []registration.Record{small, large, small}},
		"many headers":         {id, 1, []registration.Record{many, many}},
		"as many as may be":    {id, math.MaxInt32, full},
		"lengths at an edge":   {id, 1, sized(62, 63, 64, 65, 8190, 8191, 8192, 8193, 1<<20-1, 1<<20)},
		"a thousand of chance": {id, 1, random(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkBatch(t, c.id, c.sequence, 1_700_000_000_123, c.records)
		})
	}
}

// sized makes records whose keys and values have these lengths, at which varints become longer.
func sized(lengths ...int) []registration.Record {
	var records []registration.Record
	for _, n := range lengths {
		records = append(records, registration.Record{
			Key: bytes.Repeat([]byte("k"), n), Value: bytes.Repeat([]byte("v"), n),
			Headers: []registration.Header{{Key: strings.Repeat("h", n), Value: strings.Repeat("w", n)}},
		})
	}
	return records
}

func random(n int) []registration.Record {
	r := rand.New(rand.NewPCG(1, 2))
	some := func(limit int) []byte {
		b := make([]byte, r.IntN(limit))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	records := make([]registration.Record, n)
	for i := range records {
		records[i] = registration.Record{Key: some(100), Value: some(300)}
		for range r.IntN(10) {
			records[i].Headers = append(records[i].Headers, registration.Header{Key: string(some(80)), Value: string(some(80))})
		}
	}
	return records
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("auth0|1"), []byte(`{"userId":"auth0|1"}`), "ce_id", "e-1", uint8(1), int64(1), int16(0), int32(0), int64(1_700_000_000_123))
	f.Add([]byte{}, []byte{}, "", "", uint8(255), int64(-1), int16(-1), int32(-1), int64(0))
	f.Add([]byte("ü"), bytes.Repeat([]byte("x"), 70_000), strings.Repeat("h", 64), "\xff", uint8(3), int64(math.MaxInt64), int16(math.MaxInt16), int32(math.MaxInt32), int64(1))
	f.Fuzz(func(t *testing.T, key, value []byte, headerKey, headerValue string, n uint8, id int64, epoch int16, sequence int32, timestamp int64) {
		// A number of milliseconds that survives the conversion to time.Time and back.
		timestamp = int64(uint64(timestamp) % (1 << 50))
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
