// Package topic reads which users a Kafka topic has.
//
// It promises to return each record with a user exactly once, from a given time up to the topic's end at the time of
// the call, or an error if it cannot read to that end. It changes nothing in the topic and uses no consumer group.
package topic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is how long it waits for Kafka's next answer.
const patience = time.Minute

// Config says how to reach the topic.
type Config struct {
	Brokers []string
	Topic   string
	Login   []kgo.Opt // TLS and SASL; none: a plain connection
}

// Reader reads a topic. It is used by one goroutine at a time.
type Reader struct {
	config Config
	client *kgo.Client
	since  time.Time
	next   map[int32]int64 // offset of the next record of each partition
}

// Open returns a reader of the records from a time on. The caller must close it.
func Open(c Config, since time.Time) (*Reader, error) {
	r := &Reader{config: c, since: since, next: map[int32]int64{}}
	var err error
	if r.client, err = r.dial(); err != nil {
		return nil, fmt.Errorf("set up the Kafka client: %w", err)
	}
	return r, nil
}

// Close releases the reader's resources.
func (r *Reader) Close() { r.client.Close() }

func (r *Reader) dial(more ...kgo.Opt) (*kgo.Client, error) {
	options := []kgo.Opt{kgo.SeedBrokers(r.config.Brokers...), kgo.ClientID("userrelay-backfill")}
	return kgo.NewClient(slices.Concat(options, r.config.Login, more)...)
}

// CatchUp calls a function with the ce_source and the key of each record that was written since the previous call.
func (r *Reader) CatchUp(ctx context.Context, tell func(source, key string)) error {
	ends, err := r.ends(ctx)
	if err != nil {
		return err
	}
	from := map[int32]kgo.Offset{}
	for partition, end := range ends {
		if r.next[partition] < end {
			from[partition] = kgo.NewOffset().At(r.next[partition])
		}
	}
	if len(from) == 0 {
		return nil
	}
	consumer, err := r.dial(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.config.Topic: from}),
		// Retention may have deleted records, and the last record before the end may be a control record.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(8<<20), kgo.MaxConcurrentFetches(2), kgo.MaxBufferedRecords(20_000),
	)
	if err != nil {
		return fmt.Errorf("set up the Kafka consumer: %w", err)
	}
	defer consumer.Close()
	for left := len(from); left > 0; {
		fetched, err := poll(ctx, consumer)
		if err != nil {
			return err
		}
		fetched.EachRecord(func(record *kgo.Record) {
			before := r.next[record.Partition]
			if record.Offset < before || before >= ends[record.Partition] {
				return // written since, for the next time
			}
			if r.next[record.Partition] = record.Offset + 1; record.Offset+1 >= ends[record.Partition] {
				left--
			}
			if source, ok := sourceOf(record); ok {
				tell(source, string(record.Key))
			}
		})
	}
	return nil
}

// poll returns the next records.
func poll(ctx context.Context, consumer *kgo.Client) (kgo.Fetches, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fetched := consumer.PollFetches(waiting)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if waiting.Err() != nil {
		return nil, fmt.Errorf("read the topic: no answer from Kafka for %v", patience)
	}
	for _, e := range fetched.Errors() {
		return nil, fmt.Errorf("read the topic: %w", e.Err)
	}
	return fetched, nil
}

func sourceOf(record *kgo.Record) (string, bool) {
	if record.Attrs.IsControl() || record.Value == nil {
		return "", false // a control record, or a deleted user
	}
	for _, h := range record.Headers {
		if h.Key == "ce_source" {
			return string(h.Value), true
		}
	}
	return "", false
}

// ends returns the offset after the last record of each partition, and the first offset of new partitions.
func (r *Reader) ends(ctx context.Context) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	partitions, err := r.partitions(ctx)
	if err != nil {
		return nil, err
	}
	ends, err := r.offsets(ctx, partitions, -1)
	if err != nil {
		return nil, err
	}
	var fresh []int32
	for _, p := range partitions {
		if _, known := r.next[p]; !known {
			fresh = append(fresh, p)
		}
	}
	starts, err := r.offsets(ctx, fresh, max(r.since.UnixMilli(), 0))
	if err != nil {
		return nil, err
	}
	for p, start := range starts {
		if start < 0 {
			start = ends[p] // nothing was written since
		}
		r.next[p] = start
	}
	return ends, nil
}

func (r *Reader) partitions(ctx context.Context) ([]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &r.config.Topic
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, r.client)
	if err != nil {
		return nil, fmt.Errorf("ask for the topic's partitions: %w", err)
	}
	var partitions []int32
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("ask for the topic's partitions: %w", err)
		}
		for _, p := range t.Partitions {
			partitions = append(partitions, p.Partition)
		}
	}
	if len(partitions) == 0 {
		return nil, errors.New("the topic has no partitions")
	}
	return partitions, nil
}

// offsets returns the offset of the first record at a time in ms or later, or -1 if there is none. For the time -1 it
// returns the end.
func (r *Reader) offsets(ctx context.Context, partitions []int32, at int64) (map[int32]int64, error) {
	found := map[int32]int64{}
	if len(partitions) == 0 {
		return found, nil
	}
	req := kmsg.NewPtrListOffsetsRequest()
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = r.config.Topic
	for _, p := range partitions {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp = p, at
		topic.Partitions = append(topic.Partitions, partition)
	}
	req.Topics = append(req.Topics, topic)
	for _, shard := range r.client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, fmt.Errorf("ask for offsets: %w", shard.Err)
		}
		resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if !ok {
			return nil, errors.New("ask for offsets: unexpected answer")
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("ask for offsets: %w", err)
				}
				found[p.Partition] = p.Offset
			}
		}
	}
	if len(found) < len(partitions) {
		return nil, fmt.Errorf("ask for offsets: %d of %d partitions answered", len(found), len(partitions))
	}
	return found, nil
}
