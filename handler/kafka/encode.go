package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

// Offsets in a record batch, in bytes (Kafka documentation, "Record Batch"), after the size field that precedes it in
// a Produce request.
const (
	sizeField    = 4
	lengthAt     = sizeField + 8        // batchLength, which counts what follows it
	checksumAt   = lengthAt + 4 + 4 + 1 // crc, of what follows it
	attributesAt = checksumAt + 4
	batchHeader  = 61 // bytes before the first record
)

// appendBatch appends the size field and one record batch of format 2, as rawproduce requires it. All records get the
// same timestamp, in ms since 1970.
func appendBatch(b []byte, p wire.ProducerID, sequence int32, timestamp int64, items []*item) []byte {
	start := len(b)
	b = slices.Grow(b, sizeField+batchHeader+sizeOf(items))
	b = append(b, make([]byte, sizeField+8+4)...)        // size; base offset 0; batch length
	b = append(b, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0) // partition leader epoch -1; magic; checksum
	b = append(b, 0, 0)                                  // attributes: not compressed, time of creation
	b = binary.BigEndian.AppendUint32(b, uint32(len(items)-1))
	b = binary.BigEndian.AppendUint64(b, uint64(timestamp)) // first
	b = binary.BigEndian.AppendUint64(b, uint64(timestamp)) // last
	b = binary.BigEndian.AppendUint64(b, uint64(p.ID))
	b = binary.BigEndian.AppendUint16(b, uint16(p.Epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(sequence))
	b = binary.BigEndian.AppendUint32(b, uint32(len(items)))
	for i, it := range items {
		b = appendRecord(b, int64(i), &it.record)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-sizeField))
	binary.BigEndian.PutUint32(b[start+lengthAt:], uint32(len(b)-start-lengthAt-4))
	binary.BigEndian.PutUint32(b[start+checksumAt:], crc32.Checksum(b[start+attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func sizeOf(items []*item) int {
	n := 0
	for _, it := range items {
		n += it.size
	}
	return n
}

func appendRecord(b []byte, offsetDelta int64, r *registration.Record) []byte {
	n := 1 + 1 + varintLen(offsetDelta) + bytesLen(len(r.Key)) + bytesLen(len(r.Value)) + varintLen(int64(len(r.Headers)))
	for _, h := range r.Headers {
		n += bytesLen(len(h.Key)) + bytesLen(len(h.Value))
	}
	b = binary.AppendVarint(b, int64(n))
	b = append(b, 0, 0) // attributes; timestamp delta
	b = binary.AppendVarint(b, offsetDelta)
	b = append(binary.AppendVarint(b, int64(len(r.Key))), r.Key...)
	b = append(binary.AppendVarint(b, int64(len(r.Value))), r.Value...)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for _, h := range r.Headers {
		b = append(binary.AppendVarint(b, int64(len(h.Key))), h.Key...)
		b = append(binary.AppendVarint(b, int64(len(h.Value))), h.Value...)
	}
	return b
}

// varintLen is the length of v as binary.AppendVarint writes it.
func varintLen(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

func bytesLen(n int) int { return varintLen(int64(n)) + n }

// BatchSize returns the size in its partition of a record that is stored alone, in bytes.
func BatchSize(r registration.Record) int {
	return len(appendBatch(nil, wire.NoProducerID(), 0, 0, []*item{{record: r}})) - sizeField
}
