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
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"userrelay/handler/parent"
	"userrelay/handler/registration"
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

// place is the position of a record.
type place struct {
	Partition int
	Offset    int64
}

// producer stores a record and returns when all in-sync replicas have it. A careless one does not wait.
type producer interface {
	produce(ctx context.Context, r registration.Record, at time.Time) (place, error)
	close() error
}

func run(ctx context.Context, getenv func(string) string) error {
	addr := net.JoinHostPort("127.0.0.1", getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	kind, topic := getenv("RELAY"), getenv("KAFKA_TOPIC")
	if kind == "bare" {
		return serve(ctx, addr, http.HandlerFunc(bare))
	}
	p, err := newProducer(kind, strings.Split(getenv("KAFKA_BROKERS"), ","), topic)
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, addr, &handler{topic: topic, producer: p}), p.close())
}

func newProducer(kind string, brokers []string, topic string) (producer, error) {
	switch kind {
	case "writer":
		return newWriter(brokers, topic, kafka.RequireAll), nil
	case "careless":
		return newWriter(brokers, topic, kafka.RequireNone), nil
	case "franz-go":
		return newFranz(brokers, topic)
	default:
		return nil, fmt.Errorf("there is no relay %q", kind)
	}
}

// serve answers requests until ctx ends.
func serve(ctx context.Context, addr string, h http.Handler) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err = <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err = server.Close()
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
