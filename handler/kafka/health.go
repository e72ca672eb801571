package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"userrelay/handler/kafka/wire"
)

// Check makes a round trip to the leaders of the topic's partitions; the first answer counts. The error is a
// *delivery.Error.
func (p *Producer) Check(ctx context.Context) error {
	leaders := p.dispatcher.leaders()
	if len(leaders) == 0 {
		v, err := p.cluster.Metadata(ctx, false)
		if err == nil {
			err = v.Problem()
		}
		if err != nil {
			p.keeper.ask()
			return wire.Fail("look up the topic", err, false)
		}
		p.cluster.Learn(v)
		leaders = v.Leaders()
	}
	led := map[string]int32{} // a partition, by its leader's address
	for partition, leader := range leaders {
		if address, err := p.cluster.Address(leader); err == nil {
			led[address] = int32(partition)
		}
	}
	if len(led) == 0 {
		p.keeper.ask()
		return wire.Fail("ask for the newest offset", wire.ErrNoLeader, false)
	}
	var addresses []string
	for a := range led {
		addresses = append(addresses, a)
	}
	slices.Sort(addresses)
	if _, err := wire.Race(ctx, addresses, func(ctx context.Context, address string) (struct{}, error) {
		return struct{}{}, p.cluster.With(ctx, address, func(l *wire.Conn, deadline time.Time) error {
			return ping(l, deadline, p.config.Topic, led[address])
		})
	}, func(struct{}) {}); err != nil {
		p.keeper.ask()
		return wire.Fail("ask for the newest offset", err, false)
	}
	return nil
}

// ping asks for the newest offset of a partition.
func ping(l *wire.Conn, deadline time.Time, topic string, partition int32) error {
	r, err := wire.Exchange[*listoffsets.Response](l, deadline, &listoffsets.Request{ReplicaID: -1, Topics: []listoffsets.RequestTopic{{
		Topic: topic, Partitions: []listoffsets.RequestPartition{{Partition: partition, CurrentLeaderEpoch: -1, Timestamp: wire.Latest}},
	}}})
	switch {
	case err != nil:
		return err
	case len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1:
		return wire.ErrAnswer
	case r.Topics[0].Partitions[0].ErrorCode != 0:
		return wire.Code(r.Topics[0].Partitions[0].ErrorCode)
	default:
		return nil
	}
}
