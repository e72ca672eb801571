package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// Finding is the result of one step of a diagnosis.
type Finding struct {
	Subject string // "broker kafka-1:9093", "topic user-events"
	Text    string // what was found, and where it is wrong what to do
	Grade   Grade
}

// Grade says how good a finding is.
type Grade int

// The grades.
const (
	Good    Grade = iota
	Warning       // it works, and something may be lost or stay unseen
	Failure
)

// Diagnose tries each step that storing a record takes, without storing one: each broker, with TLS and login; the topic;
// the right to write to it; and how many copies acks=all stands for. It stops where the next step cannot work.
func Diagnose(ctx context.Context, c Config) []Finding {
	var found []Finding
	reached := false
	for _, broker := range c.Brokers {
		one := c
		one.Brokers = []string{broker}
		f := diagnoseBroker(ctx, one)
		reached = reached || f.Grade == Good
		found = append(found, f)
	}
	if !reached {
		return found
	}
	p := newProducer(c)
	defer p.letGo()
	return append(found, p.diagnoseTopic(ctx)...)
}

func diagnoseBroker(ctx context.Context, c Config) Finding {
	p := newProducer(c)
	defer p.letGo()
	f := Finding{Subject: "broker " + c.Brokers[0], Text: "answers" + secured(c)}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := p.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{c.Topic}}); err != nil {
		f.Text, f.Grade = explain(fail("connect", err, false)), Failure
	}
	return f
}

func secured(c Config) string {
	switch {
	case c.TLS != nil && c.SASL != nil:
		return " over TLS and accepts the login (" + c.SASL.Name() + ")"
	case c.SASL != nil:
		return " without encryption and accepts the login (" + c.SASL.Name() + ")"
	case c.TLS != nil:
		return " over TLS"
	default:
		return ", without encryption or login"
	}
}

func (p *Producer) diagnoseTopic(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	subject := "topic " + p.topic
	bad := func(err error) []Finding {
		return []Finding{{subject, explain(fail("look at the topic", err, false)), Failure}}
	}
	md, err := p.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{p.topic}})
	if err != nil {
		return bad(err)
	}
	if len(md.Topics) != 1 {
		return bad(errAnswer)
	}
	topic := md.Topics[0]
	if topic.Error != nil {
		return bad(topic.Error)
	}
	found := []Finding{{subject, fmt.Sprintf("exists, with %d partitions", len(topic.Partitions)), Good}}
	found = append(found, p.diagnoseWrite(ctx, firstLeader(topic)))
	return append(found, p.diagnoseCopies(ctx, topic))
}

// firstLeader returns the broker that leads the first partition.
func firstLeader(topic kafkago.Topic) int32 {
	for _, q := range topic.Partitions {
		if q.ID == 0 && q.Leader.Host != "" {
			return int32(q.Leader.ID)
		}
	}
	return nobody
}

// diagnoseWrite asks for the right to write by a request without a record: brokers look at rights first.
func (p *Producer) diagnoseWrite(ctx context.Context, leader int32) Finding {
	f := Finding{Subject: "topic " + p.topic, Text: "may be written to"}
	m, err := p.transport.RoundTrip(ctx, p.addr, &produceRequest{
		Acks: int16(kafkago.RequireAll), Timeout: int32(p.brokerTimeout.Milliseconds()),
		Topics: []rawproduce.RequestTopic{{Topic: p.topic, Partitions: []rawproduce.RequestPartition{{
			RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(make([]byte, sizeField))},
		}}}},
		to: leader,
	})
	if err != nil {
		f.Grade = Warning
		f.Text = "whether it may be written to cannot be seen without a record: " + explain(fail("write", err, false))
		return f
	}
	r, ok := m.(*produce.Response)
	if !ok || len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		f.Text, f.Grade = explain(fail("write", errAnswer, false)), Warning
		return f
	}
	switch code := kafkago.Error(r.Topics[0].Partitions[0].ErrorCode); code { //nolint:exhaustive // all others say that there is no record
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.UnknownTopicOrPartition:
		f.Text, f.Grade = explainCode(code), Failure
	}
	return f
}

// diagnoseCopies says how many copies of a record there are when acks=all is answered: as many as min.insync.replicas, at
// most as many as there are replicas.
func (p *Producer) diagnoseCopies(ctx context.Context, topic kafkago.Topic) Finding {
	f := Finding{Subject: "topic " + topic.Name}
	replicas := math.MaxInt
	for _, q := range topic.Partitions {
		replicas = min(replicas, len(q.Replicas))
	}
	if replicas <= 1 {
		f.Grade = Warning
		f.Text = "acks=all means one copy: the topic has one replica, and a broker that is lost takes acknowledged records along. " +
			"Give it 3 replicas and min.insync.replicas=2; a managed service may hide copies of its own"
		return f
	}
	insync, err := p.minInSync(ctx, topic.Name)
	switch {
	case err != nil:
		f.Grade = Warning
		f.Text = fmt.Sprintf("has %d replicas; min.insync.replicas cannot be read (it needs DESCRIBE_CONFIGS): it should be 2", replicas)
	case insync <= 1:
		f.Grade = Warning
		f.Text = fmt.Sprintf("acks=all means one copy: the topic has %d replicas, but min.insync.replicas is %d, so that a leader alone may "+
			"acknowledge a record. Set it to 2", replicas, insync)
	default:
		f.Text = fmt.Sprintf("acks=all means at least %d copies: %d replicas, min.insync.replicas %d", min(insync, replicas), replicas, insync)
	}
	return f
}

func (p *Producer) minInSync(ctx context.Context, topic string) (int, error) {
	const name = "min.insync.replicas"
	res, err := p.client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{name},
	}}})
	if err != nil {
		return 0, err
	}
	for _, r := range res.Resources {
		if r.Error != nil {
			return 0, r.Error
		}
		for _, e := range r.ConfigEntries {
			if e.ConfigName == name {
				return strconv.Atoi(e.ConfigValue)
			}
		}
	}
	return 0, errors.New("the broker does not tell it")
}
