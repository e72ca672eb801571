// Package broker is a Kafka broker in this process, for a machine without Kafka. It can be stopped and started, to
// show the effects of an outage.
//
// It implements Kafka's protocol and keeps acknowledged records in a folder, but it is one process without replicas:
// it proves nothing about durability.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/local/freeport"
)

const partitions = 4

// Broker is a broker with one topic.
type Broker struct {
	topic string
	dir   string
	mine  bool // dir is to be removed
	port  int

	mu      sync.Mutex
	cluster *kfake.Cluster // nil while stopped
}

// Start starts a broker with the topic, at a port of 127.0.0.1; 0 takes any that is free. dir keeps the records between
// runs; if it is empty, Close removes them.
func Start(ctx context.Context, topic, dir string, port int) (*Broker, error) {
	b := &Broker{topic: topic, dir: dir, port: port}
	var err error
	if port == 0 { // not kfake's 0: while the broker is stopped, an outgoing connection could take such a port
		if b.port, err = freeport.Find(ctx); err != nil {
			return nil, fmt.Errorf("start the broker: %w", err)
		}
	}
	if dir == "" {
		if b.dir, err = os.MkdirTemp("", "userrelay-broker-"); err != nil {
			return nil, fmt.Errorf("make a folder for the broker: %w", err)
		}
		b.mine = true
	}
	if err := b.Resume(); err != nil {
		return nil, errors.Join(err, b.Close()) //nolint:contextcheck // also after the end of ctx
	}
	return b, nil
}

// Address returns the broker's host:port, which does not change when it stops.
func (b *Broker) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port)) }

// Running says whether the broker runs.
func (b *Broker) Running() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cluster != nil
}

// Resume starts a stopped broker.
func (b *Broker) Resume() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cluster != nil {
		return nil
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(b.port),
		kfake.DataDir(b.dir),
		kfake.SyncWrites(),
		kfake.SeedTopics(partitions, b.topic),
	)
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	b.cluster = cluster
	return nil
}

// Pause stops the broker: its connections are cut, and new ones are refused when Pause returns.
func (b *Broker) Pause() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cluster != nil {
		b.cluster.Close()
		b.cluster = nil
		_ = freeport.Refused(context.Background(), b.Address()) // it fails only when its context ends
	}
}

// Close stops the broker permanently.
func (b *Broker) Close() error {
	b.Pause()
	if !b.mine {
		return nil
	}
	if err := os.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("remove the broker's folder: %w", err)
	}
	return nil
}
