package main

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/registration"
)

// place is the position of a record.
type place struct {
	Partition int
	Offset    int64
}

// produce stores a record and returns when all in-sync replicas have it. A careless one does not wait.
type produce func(ctx context.Context, r registration.Record, at time.Time) (place, error)

// newProducer returns a producer and what closes it.
func newProducer(relay string, brokers []string, topic string) (produce, func() error, error) {
	switch relay {
	case "kafka.Writer":
		p, end := newWriter(brokers, topic, kafka.RequireAll)
		return p, end, nil
	case "careless": // nobody waits for the broker, and records are lost: a drill that does not detect it proves nothing
		p, end := newWriter(brokers, topic, kafka.RequireNone)
		return p, end, nil
	case "franz-go":
		return newFranz(brokers, topic)
	default:
		return nil, nil, fmt.Errorf("there is no relay %q", relay)
	}
}

// newWriter stores records through kafka-go's Writer, with the best options for one record a request. The Writer sends a
// batch when it is full or its time is over, even if the connection is free, so every request has to wait that time. It
// must not be shorter than the broker's response time, or the queue in the Writer grows.
func newWriter(brokers []string, topic string, acks kafka.RequiredAcks) (produce, func() error) {
	transport := &kafka.Transport{ // like the Writer's own, but it can be closed
		IdleTimeout: 3 * time.Minute, MetadataTTL: 10 * time.Second, MetadataTopics: []string{topic},
	}
	writer := &kafka.Writer{ //nolint:forbidigo // what is measured
		Addr: kafka.TCP(brokers...), Topic: topic, Transport: transport, RequiredAcks: acks, Balancer: kafka.Murmur2Balancer{Consistent: true},
		BatchTimeout: 5 * time.Millisecond, BatchSize: 1000,
		Completion: func(messages []kafka.Message, err error) {
			for i := range messages {
				if at, ok := messages[i].WriterData.(*place); ok && err == nil {
					*at = place{messages[i].Partition, messages[i].Offset}
				}
			}
		},
	}
	end := func() error {
		err := writer.Close()
		transport.CloseIdleConnections()
		return err
	}
	return func(ctx context.Context, r registration.Record, at time.Time) (place, error) {
		var where place
		m := kafka.Message{Key: r.Key, Value: r.Value, Time: at, Headers: make([]kafka.Header, len(r.Headers)), WriterData: &where}
		for i, h := range r.Headers {
			m.Headers[i] = kafka.Header{Key: h.Key, Value: []byte(h.Value)}
		}
		if err := writer.WriteMessages(ctx, m); err != nil { // it waits for Completion
			return place{}, fmt.Errorf("write the record: %w", err)
		}
		return where, nil
	}, end
}

// newFranz stores records through franz-go: idempotent, acks=all and partitioned as Kafka's Java client does, all of
// which are its defaults. A record does not wait for others (its default is 10 ms), and nothing is compressed, as in the
// other relays: on loopback compressing costs more than it saves.
func newFranz(brokers []string, topic string) (produce, func() error, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.DefaultProduceTopic(topic),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("make a client: %w", err)
	}
	end := func() error {
		client.Close()
		return nil
	}
	return func(ctx context.Context, r registration.Record, at time.Time) (place, error) {
		rec := &kgo.Record{Key: r.Key, Value: r.Value, Timestamp: at, Headers: make([]kgo.RecordHeader, len(r.Headers))}
		for i, h := range r.Headers {
			rec.Headers[i] = kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)}
		}
		rec, err := client.ProduceSync(ctx, rec).First()
		if err != nil {
			return place{}, fmt.Errorf("write the record: %w", err)
		}
		return place{int(rec.Partition), rec.Offset}, nil
	}, end, nil
}
