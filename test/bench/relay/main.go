// Relay is a reference implementation for comparison with the handler: the same settings, HTTP contract and record with
// another producer, or without a producer. It is written as an expert in the library would write it, and does less
// than the handler: no telemetry, no limits, no classes of errors.
//
//	RELAY=franz-go FUNCTIONS_CUSTOMHANDLER_PORT=7000 KAFKA_BROKERS=127.0.0.1:9092 KAFKA_TOPIC=t relay
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/parent"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
	"userrelay/test/bench/report"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	if err := run(ctx, os.Getenv); err != nil { //nolint:forbidigo // the one place where settings come from
		_, _ = fmt.Fprintf(os.Stderr, "relay: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

func run(ctx context.Context, getenv func(string) string) error {
	addr := net.JoinHostPort("127.0.0.1", getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	relay, topic := getenv("RELAY"), getenv("KAFKA_TOPIC")
	if relay == string(report.Bare) {
		return serve(ctx, addr, bare())
	}
	store, end, err := newProducer(relay, strings.Split(getenv("KAFKA_BROKERS"), ","), topic)
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, addr, register(topic, store)), end())
}

// serve answers requests until ctx ends.
func serve(ctx context.Context, addr string, h http.Handler) error {
	server := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

const maxBody = 16 << 20 // bytes, as in the handler

// answer has the members of the handler's answer.
type answer struct {
	EventID   string `json:"eventId"`
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"` // ms since 1970
}

// register stores registrations.
func register(topic string, store produce) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet: // the host's probe, and the question for its health
			return
		case r.URL.Path != "/api/RegisterUser":
			http.NotFound(w, r)
			return
		}
		var in struct {
			UserID  string `json:"userId"`
			EventID string `json:"eventId"`
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil || json.Unmarshal(body, &in) != nil || in.UserID == "" {
			http.Error(w, "the body must be {\"userId\": …}", http.StatusBadRequest)
			return
		}
		now := time.Now()
		if in.EventID == "" {
			in.EventID = registration.DeriveID("", in.UserID, "")
		}
		event := registration.Event{ID: in.EventID, UserID: in.UserID, Source: "urn:auth0:unknown", Time: now}
		span := trace.Start(r.Header.Get("Traceparent"), "").Child()
		at, err := store(r.Context(), event.Record(registration.Header{Key: "traceparent", Value: span.Traceparent()}), now)
		if err != nil {
			http.Error(w, "not stored", http.StatusServiceUnavailable)
			return
		}
		write(w, answer{event.ID, topic, at.Partition, at.Offset, now.UnixMilli()}.encode())
	}
}

// bare does the minimum of every relay: it reads the body and sends an answer as long as the handler's.
func bare() http.HandlerFunc {
	as := answer{registration.DeriveID("", "u", ""), "bench-userrelay", 3, 123456, 1789000000000}.encode()
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "the body did not come", http.StatusBadRequest)
			return
		}
		write(w, as)
	}
}

func (a answer) encode() []byte {
	body, err := json.Marshal(a)
	if err != nil {
		panic(err) // a struct of text and numbers
	}
	return body
}

func write(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the caller may have left
}

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
	case string(report.Writer):
		p, end := newWriter(brokers, topic, kafka.RequireAll)
		return p, end, nil
	case "careless": // nobody waits for the broker, and records are lost: a drill that does not detect it proves nothing
		p, end := newWriter(brokers, topic, kafka.RequireNone)
		return p, end, nil
	case string(report.Franz):
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
