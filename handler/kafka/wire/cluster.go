package wire

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// Cluster has the known brokers, and spare connections that no lane owns, at most one for each address.
type Cluster struct {
	dialer *Dialer
	seeds  []string // KAFKA_BROKERS
	topic  string

	mu        sync.Mutex
	addresses map[int32]string // by broker id, from the last metadata
	id        string           // of the cluster, likewise
	topicID   [16]byte         // likewise; zero if unknown
	answered  string           // the address that answered last
	spare     map[string]*Conn // by address
}

// NewCluster returns a cluster that knows only the addresses of some brokers.
func NewCluster(seeds []string, topic string, dialer *Dialer) *Cluster {
	return &Cluster{dialer: dialer, seeds: seeds, topic: topic, spare: map[string]*Conn{}}
}

// ErrNoLeader says that a broker or a leader is unknown.
var ErrNoLeader = errors.New("the partition has no leader now")

// Address returns the address of a broker.
func (c *Cluster) Address(broker int32) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.addresses[broker]; ok {
		return a, nil
	}
	return "", ErrNoLeader
}

// candidates returns the addresses to ask for metadata: all known brokers, and then the configured list. The first one
// is the broker that answered last, or another one if that broker may be out of date.
func (c *Cluster) candidates(another bool) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Sorted(maps.Values(c.addresses))
	for _, a := range c.seeds {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	i := max(slices.Index(all, c.answered), 0)
	if another {
		i = (i + 1) % len(all)
	}
	return slices.Concat(all[i:], all[:i])
}

// Get returns a spare connection, or a new one.
func (c *Cluster) Get(ctx context.Context, address string) (*Conn, error) {
	c.mu.Lock()
	l := c.spare[address]
	delete(c.spare, address)
	c.mu.Unlock()
	if l != nil {
		if l.Good(time.Now()) {
			return l, nil
		}
		l.HangUp()
	}
	return c.dialer.connect(ctx, address)
}

// put returns a usable connection to the cluster.
func (c *Cluster) put(l *Conn) {
	c.mu.Lock()
	before := c.spare[l.Address]
	c.spare[l.Address] = l
	c.mu.Unlock()
	if before != nil {
		before.HangUp()
	}
}

// With calls a function with a connection to a broker. The connection is aborted when ctx ends.
func (c *Cluster) With(ctx context.Context, address string, do func(l *Conn, deadline time.Time) error) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	l, err := c.Get(ctx, address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, l.abort)
	err = do(l, deadline)
	if !stop() {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		l.HangUp()
		return err
	}
	c.put(l)
	return nil
}

// Metadata requests the topic's metadata from one broker after the other, without waiting long for any. It asks the
// first one again at the end, because its connection may have been dead. The first answer counts.
func (c *Cluster) Metadata(ctx context.Context, another bool) (*View, error) {
	whom := c.candidates(another)
	return Race(ctx, append(whom, whom[0]), func(ctx context.Context, address string) (*View, error) {
		var v *View
		err := c.With(ctx, address, func(l *Conn, deadline time.Time) (err error) {
			v, err = l.Metadata(deadline, c.topic)
			return err
		})
		if err == nil {
			c.mu.Lock()
			c.answered = address
			c.mu.Unlock()
		}
		return v, err
	}, func(*View) {})
}

// Learn stores the addresses of the brokers. It returns true if another cluster than before answered.
func (c *Cluster) Learn(v *View) (another bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	another = c.id != "" && v.Cluster != "" && c.id != v.Cluster
	if v.Cluster != "" {
		c.id = v.Cluster
	}
	c.addresses, c.topicID = v.Brokers, v.TopicID
	for a, l := range c.spare {
		if !slices.Contains(c.seeds, a) && !slices.Contains(slices.Collect(maps.Values(v.Brokers)), a) {
			delete(c.spare, a)
			l.HangUp()
		}
	}
	return another
}

// Remade says that the topic is not that of the view any more: it was deleted and recreated. Information about the old
// topic proves nothing about the log of the new one.
func (c *Cluster) Remade(v *View) bool {
	none := [16]byte{}
	c.mu.Lock()
	defer c.mu.Unlock()
	return v != nil && v.TopicID != none && c.topicID != none && v.TopicID != c.topicID
}

// Sweep closes spare connections that are not usable any more.
func (c *Cluster) Sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a, l := range c.spare {
		if !l.Good(now) {
			delete(c.spare, a)
			l.HangUp()
		}
	}
}

// Knows says whether a broker supports a request.
func (c *Conn) Knows(key protocol.ApiKey) bool {
	_, ok := c.versions[key]
	return ok
}
