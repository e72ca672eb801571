package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// ask makes a round trip, on another connection where one turns out to be stale.
func (p *Producer) ask(ctx context.Context, request protocol.Message) (protocol.Message, error) {
	for {
		m, err := p.transport.RoundTrip(ctx, p.addr, request)
		if !errors.Is(err, errStale) {
			return m, err
		}
	}
}

// askMetadata asks a broker, or any, for what it knows of the topic.
func (p *Producer) askMetadata(ctx context.Context, broker int32) (*metadata.Response, error) {
	m, err := p.ask(ctx, &metadataRequest{topic: p.topic, clientID: p.transport.ClientID, to: broker})
	if err != nil {
		return nil, err
	}
	answer, ok := m.(metadataAnswer)
	if !ok || len(answer.Topics) != 1 {
		return nil, errAnswer
	}
	return answer.Response, nil
}

// lookUp asks for the leader of each partition, nobody where there is none.
func (p *Producer) lookUp(ctx context.Context) ([]int32, error) {
	r, err := p.askMetadata(ctx, nobody)
	if err == nil && !p.reaches(ctx, r.Brokers) {
		p.transport.CloseIdleConnections()
		r, err = p.askMetadata(ctx, nobody)
	}
	if err != nil {
		return nil, err
	}
	topic := &r.Topics[0]
	if topic.ErrorCode != 0 {
		return nil, kafkago.Error(topic.ErrorCode)
	}
	leaders := make([]int32, len(topic.Partitions))
	for i := range leaders {
		leaders[i] = nobody
	}
	for _, q := range topic.Partitions {
		if q.PartitionIndex < 0 || int(q.PartitionIndex) >= len(leaders) {
			return nil, errors.New("the partitions are not numbered from 0")
		}
		if isBroker(r.Brokers, q.LeaderID) {
			leaders[q.PartitionIndex] = q.LeaderID
		}
	}
	if len(leaders) == 0 {
		return nil, kafkago.UnknownTopicOrPartition
	}
	return leaders, p.learnVersions(ctx)
}

func isBroker(brokers []metadata.ResponseBroker, id int32) bool {
	for _, b := range brokers {
		if b.NodeID == id {
			return true
		}
	}
	return false
}

// reaches says whether kafka-go would connect to these brokers. It keeps the addresses of before, and an error of its
// start, until its own metadata are due, or until it is made to forget them.
func (p *Producer) reaches(ctx context.Context, brokers []metadata.ResponseBroker) bool {
	known, err := p.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{p.topic}})
	if err != nil {
		return false
	}
	addresses := map[int]string{}
	for _, b := range known.Brokers {
		addresses[b.ID] = net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
	}
	for _, b := range brokers {
		if addresses[int(b.NodeID)] != net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))) {
			return false
		}
	}
	return true
}

// learnVersions asks once whether the broker knows idempotent producers.
func (p *Producer) learnVersions(ctx context.Context) error {
	p.mu.Lock()
	known := p.leaders != nil
	p.mu.Unlock()
	if known {
		return nil
	}
	res, err := p.client.ApiVersions(ctx, &kafkago.ApiVersionsRequest{})
	if err != nil {
		return fmt.Errorf("ask for the broker's API versions: %w", err)
	}
	for _, api := range res.ApiKeys {
		if api.ApiKey == int(protocol.InitProducerId) {
			return nil
		}
	}
	if p.plain.CompareAndSwap(false, true) {
		p.log.WarnContext(ctx, "The Kafka broker knows no idempotent producers (InitProducerId): a lost answer makes an unknown outcome")
	}
	return nil
}

// leaderNow returns the broker that leads a partition, as far as is known.
func (p *Producer) leaderNow(partition int32) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leaderOf(partition)
}

// newProducerID asks a broker for an id.
func (p *Producer) newProducerID(ctx context.Context, leader int32) (producerID, error) {
	for backoff := firstBackoff; ; backoff = longer(backoff) {
		m, err := p.ask(ctx, &initRequest{ProducerID: -1, ProducerEpoch: -1, leader: leader})
		if err != nil {
			return producerID{}, err
		}
		r, ok := m.(*initproducerid.Response)
		if !ok {
			return producerID{}, errAnswer
		}
		switch code := kafkago.Error(r.ErrorCode); code {
		case 0:
			return producerID{r.ProducerID, r.ProducerEpoch}, nil
		case kafkago.GroupLoadInProgress: // a broker that has just started says so for a moment
			if wait(ctx, backoff); ctx.Err() != nil {
				return producerID{}, code
			}
		default:
			return producerID{}, code
		}
	}
}

// Check makes a round trip to the leader of the topic's first partition. The error is a *delivery.Error.
func (p *Producer) Check(ctx context.Context) error {
	leader := p.leaderNow(0)
	if leader == nobody {
		leaders, err := p.lookUp(ctx)
		if err != nil {
			p.askRefresh()
			return fail("look up the topic", err, false)
		}
		leader = leaders[0]
	}
	if err := p.ping(ctx, leader); err != nil {
		p.askRefresh()
		return fail("ask for the newest offset", err, false)
	}
	return nil
}

// ping asks the leader of the first partition for its newest offset.
func (p *Producer) ping(ctx context.Context, leader int32) error {
	m, err := p.ask(ctx, &offsetsRequest{ReplicaID: -1, to: leader, Topics: []listoffsets.RequestTopic{{
		Topic: p.topic, Partitions: []listoffsets.RequestPartition{{CurrentLeaderEpoch: -1, Timestamp: kafkago.LastOffset}},
	}}})
	if err != nil {
		return err
	}
	r, ok := m.(*listoffsets.Response)
	if !ok || len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return errAnswer
	}
	if code := r.Topics[0].Partitions[0].ErrorCode; code != 0 {
		return kafkago.Error(code)
	}
	return nil
}
