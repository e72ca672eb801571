package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// cluster is what is known of the brokers, and connections that no lane owns: at most one for each address.
type cluster struct {
	links *links
	seeds []string // KAFKA_BROKERS
	topic string

	mu        sync.Mutex
	addresses map[int32]string // by broker, of the last metadata
	id        string           // of the cluster, likewise
	topicID   [16]byte         // likewise; zero where it is not known
	answered  string           // the address that answered last
	spare     map[string]*link // by address
}

func newCluster(c Config, links *links) *cluster {
	return &cluster{links: links, seeds: c.Brokers, topic: c.Topic, spare: map[string]*link{}}
}

var errNoLeader = errors.New("the partition has no leader now")

// address returns where a broker is.
func (c *cluster) address(broker int32) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.addresses[broker]; ok {
		return a, nil
	}
	return "", errNoLeader
}

// candidates returns whom to ask for metadata: every broker that is known, and then the list for the start. It begins
// with who answered last, or, when that one may be out of date, with another.
func (c *cluster) candidates(another bool) []string {
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

// get returns a connection that nobody uses, or a new one.
func (c *cluster) get(ctx context.Context, address string) (*link, error) {
	c.mu.Lock()
	l := c.spare[address]
	delete(c.spare, address)
	c.mu.Unlock()
	if l != nil {
		if l.good(time.Now()) {
			return l, nil
		}
		l.close()
	}
	return c.links.connect(ctx, address)
}

// put gives a connection back that is good.
func (c *cluster) put(l *link) {
	c.mu.Lock()
	before := c.spare[l.address]
	c.spare[l.address] = l
	c.mu.Unlock()
	if before != nil {
		before.close()
	}
}

// on does something with a connection to a broker, which ends with ctx.
func (c *cluster) on(ctx context.Context, address string, do func(l *link, deadline time.Time) error) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	l, err := c.get(ctx, address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, l.abort)
	err = do(l, deadline)
	if !stop() {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		l.close()
		return err
	}
	c.put(l)
	return nil
}

// metadata asks for the topic: one broker after the other, without waiting long for any, and the first one again at last,
// since its connection may be dead. The first answer counts.
func (c *cluster) metadata(ctx context.Context, another bool) (*view, error) {
	whom := c.candidates(another)
	return race(ctx, append(whom, whom[0]), func(ctx context.Context, address string) (*view, error) {
		var v *view
		err := c.on(ctx, address, func(l *link, deadline time.Time) (err error) {
			v, err = l.metadata(deadline, c.topic)
			return err
		})
		if err == nil {
			c.mu.Lock()
			c.answered = address
			c.mu.Unlock()
		}
		return v, err
	}, func(*view) {})
}

// learn takes over where the brokers are. It returns true where another cluster than before answers.
func (c *cluster) learn(v *view) (another bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	another = c.id != "" && v.cluster != "" && c.id != v.cluster
	if v.cluster != "" {
		c.id = v.cluster
	}
	c.addresses, c.topicID = v.brokers, v.topicID
	for a, l := range c.spare {
		if !slices.Contains(c.seeds, a) && !slices.Contains(slices.Collect(maps.Values(v.brokers)), a) {
			delete(c.spare, a)
			l.close()
		}
	}
	return another
}

// remade says that the topic is not the one of a view any more: it was deleted and created anew. What was learned with an
// id of the old one proves nothing of the new one's log.
func (c *cluster) remade(v *view) bool {
	none := [16]byte{}
	c.mu.Lock()
	defer c.mu.Unlock()
	return v != nil && v.topicID != none && c.topicID != none && v.topicID != c.topicID
}

// sweep closes spare connections that are of no use any more.
func (c *cluster) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a, l := range c.spare {
		if !l.good(now) {
			delete(c.spare, a)
			l.close()
		}
	}
}

// knows says whether a broker knows a request.
func (l *link) knows(key protocol.ApiKey) bool {
	_, ok := l.versions[key]
	return ok
}
