package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	adminLimit = 30 * time.Second // for one question
	partitions = 4                // of each topic
)

// counted are the topics of a stage, seen by an independent client.
type counted struct{ client *kgo.Client }

func newCounted(brokers []string) (*counted, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &counted{client}, nil
}

func (c *counted) close() { c.client.Close() }

// records returns how many records were written to a topic, including deleted ones.
func (c *counted) records(ctx context.Context, topic string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for i := range int32(partitions) {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = i, -1 // the end
		t.Partitions = append(t.Partitions, p)
	}
	req := kmsg.NewListOffsetsRequest()
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return 0, fmt.Errorf("ask for the end of topic %s: %w", topic, err)
	}
	var sum int64
	answered := 0
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
				return 0, fmt.Errorf("ask for the end of topic %s: %w", topic, err)
			}
			sum += rp.Offset
			answered++
		}
	}
	if answered != partitions {
		return 0, fmt.Errorf("topic %s has %d partitions that answer, not %d", topic, answered, partitions)
	}
	return sum, nil
}

// trim deletes the records of a topic, so that the broker's memory does not grow from round to round. The end offsets
// do not change.
func (c *counted) trim(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = topic
	for i := range int32(partitions) {
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Partition, p.Offset = i, -1 // up to the end
		t.Partitions = append(t.Partitions, p)
	}
	req := kmsg.NewDeleteRecordsRequest()
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return fmt.Errorf("trim topic %s: %w", topic, err)
	}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
				return fmt.Errorf("trim topic %s: %w", topic, err)
			}
		}
	}
	return nil
}
