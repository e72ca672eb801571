// Broker is a Kafka broker (kfake, in memory) in a separate process, for the benchmark. It prints its address.
//
//	broker -topics a,b -delay 5ms
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/parent"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "broker: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

// segment is small, so that a trimmed topic releases its memory, and the current segment stays small.
const segment = 16 << 20 // bytes

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("broker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	topics := flags.String("topics", "", "topics to make, with commas between them")
	partitions := flags.Int("partitions", 4, "partitions of each topic")
	delay := flags.Duration("delay", 0, "hold every answer back for so long")
	if err := flags.Parse(args); err != nil {
		return err
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.SeedTopics(int32(*partitions), strings.Split(*topics, ",")...),
		kfake.BrokerConfigs(map[string]string{"log.segment.bytes": strconv.Itoa(segment)}),
	}
	if *delay > 0 {
		d, err := newDelayer(*delay)
		if err != nil {
			return err
		}
		defer d.close()
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
	_, _ = fmt.Fprintln(stdout, cluster.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}
