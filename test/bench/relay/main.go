// Relay is a reference implementation for comparison with the handler: the same HTTP contract and the same record with
// another producer, or without a producer. It is written as an expert in the library would write it, and does less
// than the handler: no telemetry, no limits, no classes of errors.
//
//	relay -kind franz-go -addr 127.0.0.1:7000 -brokers 127.0.0.1:9092 -topic t
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"userrelay/handler/parent"
	"userrelay/handler/registration"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
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

// producer stores a record and returns when all in-sync replicas have it.
type producer interface {
	produce(ctx context.Context, r registration.Record, at time.Time) (place, error)
	close() error
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	kind := flags.String("kind", "", "bare, writer, writer-defaults or franz-go")
	addr := flags.String("addr", "", "`host:port` to listen on")
	brokers := flags.String("brokers", "", "Kafka brokers, host:port with commas between them")
	topic := flags.String("topic", "", "Kafka topic")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *kind == "bare" {
		return serve(ctx, *addr, http.HandlerFunc(bare))
	}
	p, err := newProducer(*kind, strings.Split(*brokers, ","), *topic)
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, *addr, &handler{topic: *topic, producer: p}), p.close())
}

func newProducer(kind string, brokers []string, topic string) (producer, error) {
	switch kind {
	case "writer":
		return newWriter(brokers, topic, tuned), nil
	case "writer-defaults":
		return newWriter(brokers, topic, asItComes), nil
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
