// Consumer prints each registration of the topic once. It is an example to copy: docs/consume.md says what matters in it.
//
//	go run ./examples/consumer -brokers 127.0.0.1:9092
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

// run prints registrations until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("consumer", flag.ContinueOnError)
	brokers := flags.String("brokers", "127.0.0.1:9092", "Kafka's brokers, `host:port`, several with commas")
	topic := flags.String("topic", "user-events", "the topic")
	group := flags.String("group", "example", "the consumer group, which remembers how far it has read")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("read the flags: %w", err)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(*brokers, ",")...),
		kgo.ConsumerGroup(*group),
		kgo.ConsumeTopics(*topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // a new group misses nobody
		kgo.DisableAutoCommit(),                           // an offset is committed when its registration was handled
		kgo.BlockRebalanceOnPoll(),
	)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer client.CloseAllowingRebalance()
	return consume(ctx, client, newSeen(remembered), func(r Registration) error {
		_, err := fmt.Fprintf(out, "%s registered at %s (%s)\n", quoted(r.UserID), r.Time, r.Source)
		return err //nolint:wrapcheck // consume says what for
	})
}
