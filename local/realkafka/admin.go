package realkafka

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

// Every administrative call makes a new client, because the connections of a longer-lived one end with their broker.
// It uses the Internal listener, past any proxy, and franz-go, so that it does not depend on the code under test.

const adminLimit = time.Minute // for an administrative call

// CreateTopic creates a topic and returns when every partition has its full set of replicas in sync and a leader that
// answers. Fewer than 1 partitions or copies mean the broker's default. It repeats the attempt while the cluster is
// not ready.
func (c *Cluster) CreateTopic(ctx context.Context, name string, partitions, copies int, configs map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic = name
	topic.NumPartitions, topic.ReplicationFactor = -1, -1
	if partitions > 0 {
		topic.NumPartitions = int32(partitions)
	}
	if copies > 0 {
		topic.ReplicationFactor = int16(copies)
	}
	for k, v := range configs {
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: &v})
	}
	req := kmsg.NewCreateTopicsRequest()
	req.Topics = append(req.Topics, topic)
	tried := false
	err := c.until(ctx, func(cl *kgo.Client) error {
		resp, err := req.RequestWith(ctx, cl)
		if err == nil && len(resp.Topics) == 1 {
			err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
		}
		if tried && errors.Is(err, kerr.TopicAlreadyExists) { // by the previous attempt, whose answer was lost
			err = nil
		}
		tried = true
		return err
	})
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return c.WaitInSync(ctx, name)
}

// WaitInSync returns when all running nodes agree that every partition of a topic has a leader and all replicas in
// sync, and every leader answers. Right after a topic's creation or an election a leader does not
// (NOT_LEADER_OR_FOLLOWER).
func (c *Cluster) WaitInSync(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	err := c.until(ctx, func(cl *kgo.Client) error {
		for _, n := range c.nodes {
			if !n.Running() {
				continue
			}
			parts, err := n.partitions(ctx, topic)
			if err != nil {
				return err
			}
			for _, p := range parts {
				if p.ErrorCode != 0 || p.Leader < 0 || len(p.ISR) != len(p.Replicas) {
					return fmt.Errorf("%w: node %d says of partition %d: leader %d, %d of %d replicas in sync",
						errNotYet, n.id, p.Partition, p.Leader, len(p.ISR), len(p.Replicas))
				}
			}
		}
		_, err := endOffsets(ctx, cl, topic)
		return err
	})
	if err != nil {
		return fmt.Errorf("wait until topic %s is in sync: %w", topic, err)
	}
	return nil
}

// Leader returns the node that leads a partition, according to the running nodes.
func (c *Cluster) Leader(ctx context.Context, topic string, partition int) (*Node, error) {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	var leader *Node
	err := c.until(ctx, func(*kgo.Client) error {
		i := slices.IndexFunc(c.nodes, (*Node).Running)
		if i < 0 {
			return errNotYet
		}
		parts, err := c.nodes[i].partitions(ctx, topic)
		if err != nil {
			return err
		}
		for _, p := range parts {
			if int(p.Partition) == partition && p.Leader > 0 {
				leader = c.Node(int(p.Leader))
				return nil
			}
		}
		return errNotYet
	})
	if err != nil {
		return nil, fmt.Errorf("find the leader of %s[%d]: %w", topic, partition, err)
	}
	return leader, nil
}

// ElectPreferred returns the partitions of a topic to their preferred leaders, the first of their replicas.
func (c *Cluster) ElectPreferred(ctx context.Context, topic string, partitions ...int) error {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	t := kmsg.NewElectLeadersRequestTopic()
	t.Topic = topic
	for _, p := range partitions {
		t.Partitions = append(t.Partitions, int32(p))
	}
	req := kmsg.NewElectLeadersRequest()
	req.Topics = append(req.Topics, t)
	err := c.until(ctx, func(cl *kgo.Client) error {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				err := kerr.ErrorForCode(rp.ErrorCode)
				if err != nil && !errors.Is(err, kerr.ElectionNotNeeded) {
					return err
				}
			}
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	if err != nil {
		return fmt.Errorf("elect the preferred leaders of %s: %w", topic, err)
	}
	return nil
}
