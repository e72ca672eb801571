// Broker is a Kafka broker (kfake, in memory) in a separate process, for the benchmark. It prints its address.
//
//	broker -topics a,b -delay 5ms
package main

import (
	"bytes"
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
	"userrelay/test/load"
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

// delayer delays data that is written to connections, each piece by the same time, however many are in flight. To the
// writer a piece seems to be sent at once: a connection's next request is handled during the delay. A network delays
// data in this way. A broker that waits for its replicas handles one request of a connection at a time, which is worse
// for a client with one connection.
type delayer struct {
	delay  time.Duration
	pieces chan piece
	ended  <-chan struct{}
}

type piece struct {
	to   net.Conn
	data []byte
	due  time.Time
}

const maxPieces = 16 << 10 // held back at a time; above that writers wait

// newDelayer returns a delayer that works until ctx ends.
func newDelayer(ctx context.Context, delay time.Duration) (*delayer, error) {
	until, err := load.Alarm(ctx)
	if err != nil {
		return nil, err
	}
	d := &delayer{delay: delay, pieces: make(chan piece, maxPieces), ended: ctx.Done()}
	go d.run(until)
	return d, nil
}

// run sends the pieces. All of them have the same delay, so the first one is always due first, whatever its
// connection.
func (d *delayer) run(until func(time.Time) error) {
	for {
		select {
		case p := <-d.pieces:
			if until(p.due) != nil {
				return // ended
			}
			_, _ = p.to.Write(p.data) // the broker hears of a broken connection when it reads
		case <-d.ended:
			return
		}
	}
}

// listener delays the answers of its connections.
type listener struct {
	net.Listener
	*delayer
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return delayedConn{c, l.delayer}, nil
}

type delayedConn struct {
	net.Conn
	*delayer
}

func (c delayedConn) Write(b []byte) (int, error) {
	p := piece{to: c.Conn, data: bytes.Clone(b), due: time.Now().Add(c.delay)}
	select {
	case c.pieces <- p:
		return len(b), nil
	case <-c.ended:
		return 0, net.ErrClosed
	}
}
