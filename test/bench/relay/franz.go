package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/registration"
)

// franz stores records through franz-go: idempotent, acks=all and partitioned as Kafka's Java client does, all of which
// are its defaults. A record does not wait for others (its default is 10 ms), and nothing is compressed, as in the
// other relays: on loopback compressing costs more than it saves.
type franz struct{ client *kgo.Client }

func newFranz(brokers []string, topic string) (*franz, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.DefaultProduceTopic(topic),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &franz{client}, nil
}

func (f *franz) produce(ctx context.Context, r registration.Record, at time.Time) (place, error) {
	rec := &kgo.Record{Key: r.Key, Value: r.Value, Timestamp: at, Headers: make([]kgo.RecordHeader, len(r.Headers))}
	for i, h := range r.Headers {
		rec.Headers[i] = kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)}
	}
	rec, err := f.client.ProduceSync(ctx, rec).First()
	if err != nil {
		return place{}, fmt.Errorf("write the record: %w", err)
	}
	return place{int(rec.Partition), rec.Offset}, nil
}

func (f *franz) close() error {
	f.client.Close()
	return nil
}
