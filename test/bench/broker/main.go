// Broker is a Kafka broker (kfake, in memory) in a separate process, for the benchmark. It prints its address.
//
//	broker -topics a,b -delay 5ms
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/parent"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	topics := flag.String("topics", "", "topics to make, with commas between them")
	partitions := flag.Int("partitions", 4, "partitions of each topic")
	delay := flag.Duration("delay", 0, "hold every answer back for so long")
	flag.Parse()
	if err := run(ctx, strings.Split(*topics, ","), int32(*partitions), *delay); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "broker: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

// segment is small, so that a trimmed topic releases its memory, and the current segment stays small.
const segment = 16 << 20 // bytes

func run(ctx context.Context, topics []string, partitions int32, delay time.Duration) error {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.SeedTopics(partitions, topics...),
		kfake.BrokerConfigs(map[string]string{"log.segment.bytes": strconv.Itoa(segment)}),
	}
	if delay > 0 {
		d, err := newDelayer(ctx, delay)
		if err != nil {
			return err
		}
		opts = append(opts, kfake.ListenFn(func(network, addr string) (net.Listener, error) {
			l, err := (&net.ListenConfig{}).Listen(ctx, network, addr)
			return listener{l, d}, err
		}))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	defer cluster.Close()
	_, _ = fmt.Fprintln(os.Stdout, cluster.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}
