package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
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
	if _, err := p.cluster.metadata(ctx, false); err != nil {
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
	subject := "topic " + p.config.Topic
	bad := func(err error) []Finding {
		return []Finding{{subject, explain(fail("look at the topic", err, false)), Failure}}
	}
	v, err := p.cluster.metadata(ctx, false)
	if err == nil && v.err != codeNone {
		err = v.err
	}
	if err != nil {
		return bad(err)
	}
	p.cluster.learn(v)
	found := []Finding{{subject, fmt.Sprintf("exists, with %d partitions", len(v.partitions)), Good}}
	found = append(found, p.diagnoseWrite(ctx, v.leaders()[0]))
	return append(found, p.diagnoseCopies(ctx, v))
}

// diagnoseWrite asks for the right to write by a request without a record: brokers look at rights first.
func (p *Producer) diagnoseWrite(ctx context.Context, leader int32) Finding {
	f := Finding{Subject: "topic " + p.config.Topic, Text: "may be written to"}
	address, err := p.cluster.address(leader)
	var r *produce.Response
	if err == nil {
		err = p.cluster.on(ctx, address, func(l *link, deadline time.Time) (err error) {
			r, err = exchange[*produce.Response](l, deadline, &rawproduce.Request{
				Acks: acksAll, Timeout: int32(p.brokerTimeout.Milliseconds()),
				Topics: []rawproduce.RequestTopic{{Topic: p.config.Topic, Partitions: []rawproduce.RequestPartition{{
					RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(make([]byte, sizeField))},
				}}}},
			})
			return err
		})
	}
	if err != nil {
		f.Grade = Warning
		f.Text = "whether it may be written to cannot be seen without a record: " + explain(fail("write", err, false))
		return f
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		f.Text, f.Grade = explain(fail("write", errAnswer, false)), Warning
		return f
	}
	c := code(r.Topics[0].Partitions[0].ErrorCode) // all others say that there is no record
	if c == codeTopicAuthorization || c == codeClusterAuthorization || c == codeUnknownTopic {
		f.Text, f.Grade = explainCode(c), Failure
	}
	return f
}

// diagnoseCopies says how many copies of a record there are when acks=all is answered: as many as min.insync.replicas, at
// most as many as there are replicas.
func (p *Producer) diagnoseCopies(ctx context.Context, v *view) Finding {
	f := Finding{Subject: "topic " + p.config.Topic}
	replicas := math.MaxInt
	for _, q := range v.partitions {
		replicas = min(replicas, q.replicas)
	}
	if replicas <= 1 {
		f.Grade = Warning
		f.Text = "acks=all means one copy: the topic has one replica, and a broker that is lost takes acknowledged records along. " +
			"Give it 3 replicas and min.insync.replicas=2; a managed service may hide copies of its own"
		return f
	}
	insync, err := p.minInSync(ctx)
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

func (p *Producer) minInSync(ctx context.Context) (int, error) {
	const (
		name    = "min.insync.replicas"
		ofTopic = 2 // resource type
	)
	value := ""
	err := p.cluster.on(ctx, p.cluster.candidates(false)[0], func(l *link, deadline time.Time) error {
		r, err := exchange[*describeconfigs.Response](l, deadline, &describeconfigs.Request{
			Resources: []describeconfigs.RequestResource{{ResourceType: ofTopic, ResourceName: p.config.Topic, ConfigNames: []string{name}}},
		})
		if err != nil {
			return err
		}
		for _, resource := range r.Resources {
			if resource.ErrorCode != 0 {
				return code(resource.ErrorCode)
			}
			for _, e := range resource.ConfigEntries {
				if e.ConfigName == name {
					value = e.ConfigValue
				}
			}
		}
		return nil
	})
	if err == nil && value == "" {
		err = errors.New("the broker does not tell it")
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(value)
}
