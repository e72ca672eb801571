package realkafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// errNotYet is a temporary state.
var errNotYet = errors.New("not yet")

// until calls f with a new client, which does not retry, until it succeeds, fails permanently, or ctx ends.
func (c *Cluster) until(ctx context.Context, f func(*kgo.Client) error) error {
	var seeds []string
	for _, n := range c.nodes {
		seeds = append(seeds, n.addrs[Internal])
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := withClient(seeds, f)
		if err == nil {
			return nil
		}
		if k := (*kerr.Error)(nil); errors.As(err, &k) && !k.Retriable {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, last: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func withClient(seeds []string, f func(*kgo.Client) error) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.RequestRetries(0), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer cl.Close()
	return f(cl)
}

// ask sends a request once, only to this node.
func ask[R kmsg.Response](ctx context.Context, n *Node, req kmsg.Request) (resp R, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // a paused node never answers
	defer cancel()
	err = withClient([]string{n.addrs[Internal]}, func(cl *kgo.Client) error {
		r, err := cl.SeedBrokers()[0].Request(ctx, req)
		if err != nil {
			return err
		}
		var ok bool
		if resp, ok = r.(R); !ok {
			return fmt.Errorf("unexpected answer %T", r)
		}
		return nil
	})
	return resp, err
}

// partitions returns the node's metadata of a topic.
func (n *Node) partitions(ctx context.Context, topic string) ([]kmsg.MetadataResponseTopicPartition, error) {
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req := kmsg.NewMetadataRequest()
	req.Topics = append(req.Topics, t)
	resp, err := ask[*kmsg.MetadataResponse](ctx, n, &req)
	if err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		return t.Partitions, kerr.ErrorForCode(t.ErrorCode)
	}
	return nil, errNotYet
}

// registered reports whether the node belongs to this cluster and is in its list of brokers.
func (n *Node) registered(ctx context.Context) bool {
	req := kmsg.NewMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := ask[*kmsg.MetadataResponse](ctx, n, &req)
	if err != nil || resp.ClusterID == nil || *resp.ClusterID != n.cluster.id {
		return false
	}
	return slices.ContainsFunc(resp.Brokers, func(b kmsg.MetadataResponseBroker) bool { return int(b.NodeID) == n.id })
}

// franzLogin returns franz-go's options for connecting through a listener as User, for the listeners that makeArchive
// uses.
func (c *Cluster) franzLogin(l Listener) []kgo.Opt {
	switch l {
	case SASLSSL:
		return []kgo.Opt{
			kgo.DialTLSConfig(c.ca.Client()),
			kgo.SASL(scram.Auth{User: User, Pass: Password}.AsSha512Mechanism()),
		}
	case SASLPlaintext:
		return []kgo.Opt{kgo.SASL(plain.Auth{User: User, Pass: Password}.AsMechanism())}
	case Plaintext, SSL, SASLReauth, JWKS, Internal, controller:
	}
	return nil
}
