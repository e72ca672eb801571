package e2e_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

const (
	topic      = "user-events" // the setting's default
	partitions = 4
)

// broker is a Kafka broker in this process, behind a proxy that breaks connections.
type broker struct {
	*kfake.Cluster
	proxy *faultproxy.Proxy
}

// startBroker starts a broker with the topic.
func startBroker(t *testing.T, options ...kfake.Opt) *broker {
	t.Helper()
	proxy := faultproxy.ForTest(t, faultproxy.Options{})
	cluster, err := kfake.NewCluster(slices.Concat([]kfake.Opt{
		kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), network, address)
			if err != nil {
				return nil, err
			}
			proxy.SetTarget(listener.Addr().String())
			return behind{listener, proxy.Addr()}, nil
		}),
	}, options)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return &broker{cluster, proxy}
}

// behind is a listener whose address is that of the proxy in front, which the broker advertises to clients.
type behind struct {
	net.Listener
	front string
}

func (b behind) Addr() net.Addr { return address(b.front) }

// address is a host:port.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// setting is the handler's.
func (b *broker) setting() string { return "KAFKA_BROKERS=" + b.proxy.Addr() }

// set makes connections to the broker fail from now on.
func (b *broker) set(t *testing.T, f faultproxy.Faults) {
	t.Helper()
	if err := b.proxy.SetFaults(f); err != nil {
		t.Fatal(err)
	}
}

// stop simulates a stopped broker: its connections are cut, new ones are refused.
func (b *broker) stop(t *testing.T) {
	t.Helper()
	b.set(t, faultproxy.Faults{Refuse: true})
	wait.For(t, "all connections are cut", func() bool { return b.proxy.CutAll() == 0 }) // also those just accepted
}

// records reads the topic.
func (b *broker) records(t *testing.T) []record {
	t.Helper()
	return readTopic(t, b.proxy.Addr())
}

// record is a record of the topic as its consumers see it.
type record struct {
	Partition  int32
	Offset     int64
	Timestamp  int64 // ms since 1970
	Key, Value string
	Headers    []string // "name: value"
}

// header returns the value of a header, or "".
func (r record) header(name string) string {
	for _, h := range r.Headers {
		if value, ok := strings.CutPrefix(h, name+": "); ok {
			return value
		}
	}
	return ""
}

// readTopic reads the whole topic with an independent client.
func readTopic(t *testing.T, brokers string) []record {
	t.Helper()
	found, err := realkafka.Read(t.Context(), []string{brokers}, topic)
	if err != nil {
		t.Fatal(err)
	}
	records := make([]record, len(found))
	for i, r := range found {
		records[i] = record{r.Partition, r.Offset, r.Timestamp.UnixMilli(), string(r.Key), string(r.Value), nil}
		for _, h := range r.Headers {
			records[i].Headers = append(records[i].Headers, h.Key+": "+string(h.Value))
		}
	}
	return records
}

// at returns the record at an answer's place.
func at(t *testing.T, records []record, s stored) record {
	t.Helper()
	i := slices.IndexFunc(records, func(r record) bool { return r.Partition == s.Partition && r.Offset == s.Offset })
	if i < 0 {
		t.Fatalf("no record at the place of %+v", s)
	}
	if records[i].Timestamp != s.Timestamp {
		t.Errorf("timestamp: got %d in the answer and %d in the record", s.Timestamp, records[i].Timestamp)
	}
	return records[i]
}

// partitionOf returns the partition that Kafka's own producers choose for a key.
func partitionOf(key string) int32 {
	partition := kgo.StickyKeyPartitioner(nil).ForTopic(topic).Partition(&kgo.Record{Key: []byte(key)}, partitions)
	return int32(partition)
}
