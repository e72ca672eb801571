// Package kafka stores records in one Kafka topic.
//
// It promises that Produce returns a record's place only after every in-sync replica has it (acks=all), and that every
// error says whether the record may be stored all the same (see delivery.Class). No text of a broker leaves it.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

const (
	dialTimeout = 3 * time.Second
	// Azure closes a connection that was idle for 240 s, and some of its load balancers do not tell.
	idleTimeout = 180 * time.Second
	metadataTTL = 10 * time.Second
	// A request may wait in the broker for its replicas this long. Shorter makes unknown outcomes, not speed.
	brokerTimeout = 20 * time.Second
	refreshEvery  = 200 * time.Millisecond
	firstBackoff  = 20 * time.Millisecond
	maxBackoff    = 500 * time.Millisecond
)

// Config says which topic of which cluster to write to.
type Config struct {
	Brokers  []string // host:port, any of the cluster's
	Topic    string
	ClientID string
	TLS      *tls.Config    // nil: plain connections
	SASL     sasl.Mechanism // nil: no login
}

// Producer writes to one topic. It is safe for use by several goroutines.
type Producer struct {
	topic     string
	client    *kafkago.Client
	transport *kafkago.Transport

	mu        sync.Mutex
	refreshed time.Time
}

// New returns a producer. It opens no connection.
func New(c Config) *Producer {
	transport := &kafkago.Transport{
		Dial:        (&net.Dialer{Timeout: dialTimeout}).DialContext,
		DialTimeout: 2 * dialTimeout,
		IdleTimeout: idleTimeout,
		MetadataTTL: metadataTTL,
		// Without a list kafka-go asks for all topics; Event Hubs closes the connection of an identity that may see only one.
		MetadataTopics: []string{c.Topic},
		ClientID:       c.ClientID,
		TLS:            c.TLS,
		SASL:           c.SASL,
	}
	return &Producer{
		topic:     c.Topic,
		transport: transport,
		// Timeout must be set: kafka-go would ask the broker to give up after 500 ms, and a record that is late then is
		// stored and reported as failed. The broker is told half of it.
		client: &kafkago.Client{Addr: kafkago.TCP(c.Brokers...), Transport: transport, Timeout: 2 * brokerTimeout},
	}
}

// Produce stores the record and returns its place. While the record is certainly not stored it tries again, until ctx
// ends. The error is a *delivery.Error.
func (p *Producer) Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		md, err := p.produce(ctx, r)
		if err == nil {
			return md, nil
		}
		switch delivery.ClassOf(err) {
		case delivery.Unavailable, delivery.UnknownTopic:
			p.refresh()
		default:
			return md, err
		}
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
			return md, err
		}
	}
}

func (p *Producer) produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	if err := ctx.Err(); err != nil { // kafka-go sends some of the requests whose context has ended
		return delivery.RecordMetadata{}, fail("produce", err, false)
	}
	partitions, err := p.partitions(ctx)
	if err != nil {
		return delivery.RecordMetadata{}, fail("look up the topic", err, false)
	}
	now := time.Now().Truncate(time.Millisecond)
	msg := kafkago.Message{Key: r.Key}
	partition := kafkago.Murmur2Balancer{Consistent: true}.Balance(msg, partitions...)
	headers := make([]kafkago.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = kafkago.Header{Key: h.Key, Value: []byte(h.Value)}
	}
	res, err := p.client.Produce(ctx, &kafkago.ProduceRequest{
		Topic:        p.topic,
		Partition:    partition,
		RequiredAcks: kafkago.RequireAll,
		Records: kafkago.NewRecordReader(kafkago.Record{
			Time: now, Key: kafkago.NewBytes(r.Key), Value: kafkago.NewBytes(r.Value), Headers: headers,
		}),
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return delivery.RecordMetadata{}, fail("produce", err, true)
	}
	if !res.LogAppendTime.IsZero() {
		now = res.LogAppendTime
	}
	return delivery.RecordMetadata{Topic: p.topic, Partition: partition, Offset: res.BaseOffset, Timestamp: now}, nil
}

// partitions lists the topic's partitions, from kafka-go's cache after the first time.
func (p *Producer) partitions(ctx context.Context) ([]int, error) {
	md, err := p.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{p.topic}})
	if err != nil {
		return nil, err
	}
	for _, t := range md.Topics {
		if t.Name != p.topic {
			continue
		}
		if t.Error != nil {
			return nil, t.Error
		}
		ids := make([]int, len(t.Partitions))
		for _, q := range t.Partitions {
			if q.ID < 0 || q.ID >= len(ids) {
				return nil, errors.New("the partitions are not numbered from 0")
			}
			ids[q.ID] = q.ID
		}
		if len(ids) > 0 {
			return ids, nil
		}
	}
	return nil, kafkago.UnknownTopicOrPartition
}

// Check makes a round trip to the leader of the topic's first partition. The error is a *delivery.Error.
func (p *Producer) Check(ctx context.Context) error {
	if _, err := p.partitions(ctx); err != nil {
		p.refresh()
		return fail("look up the topic", err, false)
	}
	res, err := p.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{
		Topics: map[string][]kafkago.OffsetRequest{p.topic: {kafkago.LastOffsetOf(0)}},
	})
	if err == nil {
		for _, q := range res.Topics[p.topic] {
			err = errors.Join(err, q.Error)
		}
	}
	if err != nil {
		p.refresh()
		return fail("ask for the newest offset", err, false)
	}
	return nil
}

// refresh makes kafka-go forget what it knows of the cluster: it keeps an error of its start, and the leaders of
// before a failure, until its metadata are due again.
func (p *Producer) refresh() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.refreshed) >= refreshEvery {
		p.refreshed = now
		p.transport.CloseIdleConnections()
	}
}

// Close lets go of the connections. Calls that are under way end as they would have.
func (p *Producer) Close() { p.transport.CloseIdleConnections() }

func fail(op string, err error, sent bool) error {
	return &delivery.Error{Class: classify(err, sent), Op: op, Err: fmt.Errorf("%s: %w", op, err)}
}
