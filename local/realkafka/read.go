package realkafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Record is a record of a topic.
type Record struct {
	Partition int32
	Offset    int64
	Timestamp time.Time // UTC, whole milliseconds
	Key       []byte    // nil where it is null
	Value     []byte    // nil where it is null
	Headers   []Header  // in the record's order
}

// Header returns the value of the record's first header of a name, "" where it has none.
func (r *Record) Header(name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte // nil where it is null
}

// Read returns all records that a topic holds at the time of the call, ordered by partition and offset. It reads from
// any Kafka, with franz-go. Brokers that require TLS or a login need options for it.
func Read(ctx context.Context, brokers []string, topic string, opts ...kgo.Opt) ([]Record, error) {
	// Control records are counted only: without them the end of a partition might never be reached.
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(brokers...), kgo.KeepControlRecords())...)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	defer cl.Close()
	missing, err := endOffsets(ctx, cl, topic)
	if err != nil {
		return nil, fmt.Errorf("read topic %s: %w", topic, err)
	}
	begin, err := listOffsets(ctx, cl, topic, earliest)
	if err != nil {
		return nil, fmt.Errorf("read topic %s: %w", topic, err)
	}
	from := map[int32]kgo.Offset{}
	for p, end := range missing {
		if begin[p] >= end {
			delete(missing, p)
			continue
		}
		from[p] = kgo.NewOffset().At(begin[p])
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	var records []Record
	for len(missing) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read topic %s: %w", topic, err)
		}
		for r := range fetches.RecordsAll() {
			end, wanted := missing[r.Partition]
			if !wanted {
				continue // came after the call
			}
			if r.Offset >= end-1 {
				delete(missing, r.Partition)
			}
			if r.Offset < end && !r.Attrs.IsControl() {
				records = append(records, newRecord(r))
			}
		}
	}
	sortRecords(records)
	return records, nil
}

func newRecord(r *kgo.Record) Record {
	rec := Record{
		Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC(), Key: r.Key, Value: r.Value,
	}
	for _, h := range r.Headers {
		rec.Headers = append(rec.Headers, Header{Key: h.Key, Value: h.Value})
	}
	return rec
}

func sortRecords(records []Record) {
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
}

// Special timestamps in ListOffsets for the two ends of a partition.
const (
	latest   = -1
	earliest = -2
)

// endOffsets returns the offset after the newest record of every partition.
func endOffsets(ctx context.Context, cl *kgo.Client, topic string) (map[int32]int64, error) {
	return listOffsets(ctx, cl, topic, latest)
}

func listOffsets(ctx context.Context, cl *kgo.Client, topic string, at int64) (map[int32]int64, error) {
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = &topic
	meta := kmsg.NewMetadataRequest()
	meta.Topics = append(meta.Topics, mt)
	known, err := meta.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("look up its partitions: %w", err)
	}
	lt := kmsg.NewListOffsetsRequestTopic()
	lt.Topic = topic
	for _, t := range known.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("look up its partitions: %w", err)
		}
		for _, p := range t.Partitions {
			lp := kmsg.NewListOffsetsRequestTopicPartition()
			lp.Partition, lp.Timestamp = p.Partition, at
			lt.Partitions = append(lt.Partitions, lp)
		}
	}
	req := kmsg.NewListOffsetsRequest()
	req.Topics = append(req.Topics, lt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("ask for its offsets: %w", err)
	}
	offsets := map[int32]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("ask for the offsets of partition %d: %w", p.Partition, err)
			}
			offsets[p.Partition] = p.Offset
		}
	}
	return offsets, nil
}
