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

// asItComes keeps the Writer's defaults: batches of 100 records, sent when they are full or 1 s old. Only acks=all is
// not the default, but every reliable relay needs it.
func asItComes(*kafka.Writer, *kafka.Transport) {} //nolint:forbidigo // what is measured

// tuned sets the best options for one record a request. The Writer sends a batch when it is full or its time is over,
// even if the connection is free, so every request has to wait that time. It must not be shorter than the broker's
// response time, or the queue in the Writer grows.
func tuned(w *kafka.Writer, t *kafka.Transport) { //nolint:forbidigo // what is measured
	w.BatchTimeout = 5 * time.Millisecond
	w.BatchSize = 1000
	t.IdleTimeout = 3 * time.Minute
	t.MetadataTTL = 10 * time.Second
	t.MetadataTopics = []string{w.Topic}
}

func newWriter(brokers []string, topic string, tune func(*kafka.Writer, *kafka.Transport)) *writer { //nolint:forbidigo // what is measured
	t := &kafka.Transport{} // like the Writer's own, but it can be closed
	w := &kafka.Writer{     //nolint:forbidigo // what is measured
		Addr: kafka.TCP(brokers...), Topic: topic, RequiredAcks: kafka.RequireAll, Balancer: kafka.Murmur2Balancer{Consistent: true},
		Completion: func(messages []kafka.Message, err error) {
			for i := range messages {
				if at, ok := messages[i].WriterData.(*place); ok && err == nil {
					*at = place{messages[i].Partition, messages[i].Offset}
				}
			}
		},
	}
	w.Transport = t
	tune(w, t)
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
