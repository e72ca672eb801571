package e2e_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/must"
)

const topic = "user-events" // the setting's default

// broker is a Kafka broker in this process, behind a proxy that breaks connections.
type broker struct{ *faultproxy.Proxy }

// startBroker starts a broker with the topic.
func startBroker(t *testing.T, options ...kfake.Opt) broker {
	t.Helper()
	proxy := faultproxy.ForTest(t)
	cluster := must.Get[*kfake.Cluster](t)(kfake.NewCluster(slices.Concat([]kfake.Opt{
		kfake.NumBrokers(1), kfake.SeedTopics(4, topic),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), network, address)
			if err != nil {
				return nil, err
			}
			proxy.SetTarget(listener.Addr().String())
			return behind{listener, proxy}, nil
		}),
	}, options)...))
	t.Cleanup(cluster.Close)
	return broker{proxy}
}

// behind is a listener whose address is that of the proxy in front, which the broker advertises to clients.
type behind struct {
	net.Listener
	front *faultproxy.Proxy
}

func (b behind) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(b.front.Addr()))
}

// setting is the handler's.
func (b broker) setting() string { return "KAFKA_BROKERS=" + b.Addr() }

// records reads the topic.
func (b broker) records(t *testing.T) []realkafka.Record {
	t.Helper()
	return readTopic(t, b.Addr())
}

// readTopic reads the whole topic with an independent client.
func readTopic(t *testing.T, brokers string) []realkafka.Record {
	t.Helper()
	return must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), []string{brokers}, topic))
}

// at returns the record at an answer's place.
func at(t *testing.T, records []realkafka.Record, a answer) *realkafka.Record {
	t.Helper()
	i := slices.IndexFunc(records, func(r realkafka.Record) bool { return r.Partition == a.Partition && r.Offset == a.Offset })
	if i < 0 {
		t.Fatalf("no record at the place of %+v", a)
	}
	if r := &records[i]; r.Timestamp.UnixMilli() != a.Timestamp || r.Header("ce_id") != a.EventID {
		t.Errorf("the answer is %+v, the record %+v", a, r)
	}
	return &records[i]
}

// recordsOf returns the records of a user.
func recordsOf(records []realkafka.Record, userID string) []realkafka.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r realkafka.Record) bool { return string(r.Key) != userID })
}
