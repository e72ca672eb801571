package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

// Check makes a round trip to a broker that leads a partition of the topic, whichever answers first. The error is a
// *delivery.Error.
func (p *Producer) Check(ctx context.Context) error {
	leaders := p.dispatcher.leaders()
	if len(leaders) == 0 {
		v, err := p.cluster.metadata(ctx, false)
		if err == nil {
			err = v.problem()
		}
		if err != nil {
			p.keeper.ask()
			return fail("look up the topic", err, false)
		}
		p.cluster.learn(v)
		leaders = v.leaders()
	}
	led := map[string]int32{} // a partition, by its leader's address
	for partition, leader := range leaders {
		if address, err := p.cluster.address(leader); err == nil {
			led[address] = int32(partition)
		}
	}
	if len(led) == 0 {
		p.keeper.ask()
		return fail("ask for the newest offset", errNoLeader, false)
	}
	var addresses []string
	for a := range led {
		addresses = append(addresses, a)
	}
	slices.Sort(addresses)
	if _, err := race(ctx, addresses, func(ctx context.Context, address string) (struct{}, error) {
		return struct{}{}, p.cluster.on(ctx, address, func(l *link, deadline time.Time) error {
			return l.ping(deadline, p.config.Topic, led[address])
		})
	}, func(struct{}) {}); err != nil {
		p.keeper.ask()
		return fail("ask for the newest offset", err, false)
	}
	return nil
}

// ping asks for the newest offset of a partition.
func (l *link) ping(deadline time.Time, topic string, partition int32) error {
	r, err := exchange[*listoffsets.Response](l, deadline, &listoffsets.Request{ReplicaID: -1, Topics: []listoffsets.RequestTopic{{
		Topic: topic, Partitions: []listoffsets.RequestPartition{{Partition: partition, CurrentLeaderEpoch: -1, Timestamp: latest}},
	}}})
	switch {
	case err != nil:
		return err
	case len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1:
		return errAnswer
	case r.Topics[0].Partitions[0].ErrorCode != 0:
		return code(r.Topics[0].Partitions[0].ErrorCode)
	default:
		return nil
	}
}
