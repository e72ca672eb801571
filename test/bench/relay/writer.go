package main

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"userrelay/handler/registration"
)

// writer stores records through kafka-go's Writer.
type writer struct {
	w         *kafka.Writer //nolint:forbidigo // what is measured
	transport *kafka.Transport
}

// newWriter sets the best options for one record a request. The Writer sends a batch when it is full or its time is over,
// even if the connection is free, so every request has to wait that time. It must not be shorter than the broker's
// response time, or the queue in the Writer grows. With acks=0 nobody waits for the broker, and records are lost: a drill
// that does not detect it proves nothing.
func newWriter(brokers []string, topic string, acks kafka.RequiredAcks) *writer {
	t := &kafka.Transport{ // like the Writer's own, but it can be closed
		IdleTimeout: 3 * time.Minute, MetadataTTL: 10 * time.Second, MetadataTopics: []string{topic},
	}
	w := &kafka.Writer{ //nolint:forbidigo // what is measured
		Addr: kafka.TCP(brokers...), Topic: topic, Transport: t, RequiredAcks: acks, Balancer: kafka.Murmur2Balancer{Consistent: true},
		BatchTimeout: 5 * time.Millisecond, BatchSize: 1000,
		Completion: func(messages []kafka.Message, err error) {
			for i := range messages {
				if at, ok := messages[i].WriterData.(*place); ok && err == nil {
					*at = place{messages[i].Partition, messages[i].Offset}
				}
			}
		},
	}
	return &writer{w, t}
}

// produce returns after Completion has been called: WriteMessages waits for it.
func (w *writer) produce(ctx context.Context, r registration.Record, at time.Time) (place, error) {
	var where place
	m := kafka.Message{Key: r.Key, Value: r.Value, Time: at, Headers: make([]kafka.Header, len(r.Headers)), WriterData: &where}
	for i, h := range r.Headers {
		m.Headers[i] = kafka.Header{Key: h.Key, Value: []byte(h.Value)}
	}
	if err := w.w.WriteMessages(ctx, m); err != nil {
		return place{}, fmt.Errorf("write the record: %w", err)
	}
	return where, nil
}

func (w *writer) close() error {
	err := w.w.Close()
	w.transport.CloseIdleConnections()
	return err
}
