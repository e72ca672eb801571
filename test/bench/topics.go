package main

import (
	"context"
	"errors"
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

// records returns how many records were written to a topic, including deleted ones.
func records(ctx context.Context, client *kgo.Client, topic string) (sum int64, err error) {
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
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return 0, fmt.Errorf("ask for the end of topic %s: %w", topic, err)
	}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			sum += rp.Offset
			err = errors.Join(err, kerr.ErrorForCode(rp.ErrorCode))
		}
	}
	return sum, err
}

// trim deletes the records of a topic, so that the broker's memory does not grow from round to round. The end offsets
// do not change.
func trim(ctx context.Context, client *kgo.Client, topic string) error {
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
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("trim topic %s: %w", topic, err)
	}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			err = errors.Join(err, kerr.ErrorForCode(rp.ErrorCode))
		}
	}
	return err
}
