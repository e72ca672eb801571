package kafka_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"userrelay/handler/kafka"
	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/kafka/ledger"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/wait"
)

const patience = wait.Patience

// longFlag is how long each kind of fault lasts, in the tests that inject some under load.
const longFlag = "faults"

func TestMain(m *testing.M) {
	flag.Duration(longFlag, 4*time.Second, "how long each kind of fault is injected")
	flag.Int(swapsFlag, 3, "how often the cluster is swapped")
	goleak.VerifyTestMain(m)
}

// faultTime is the value of longFlag.
func faultTime(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(flag.Lookup(longFlag).Value.String())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// proxied starts Kafka with a fault proxy before the plaintext listener of each node.
func proxied(t *testing.T, nodes int) (*realkafka.Cluster, []*faultproxy.Proxy) {
	t.Helper()
	proxies := make([]*faultproxy.Proxy, nodes)
	for i := range proxies {
		proxies[i] = faultproxy.ForTest(t, faultproxy.Options{Seed: uint64(i)})
	}
	c := kafkatest.Start(t, realkafka.Options{
		Nodes: nodes, Listeners: []realkafka.Listener{realkafka.Plaintext},
		Advertise: func(node int, _ realkafka.Listener, addr string) (string, error) {
			proxies[node-1].SetTarget(addr)
			return proxies[node-1].Addr(), nil
		},
	})
	return c, proxies
}

// newProducer returns a producer without TLS and login that is closed before the test ends.
func newProducer(t *testing.T, brokers []string, topic string) *kafka.Producer {
	t.Helper()
	p := kafka.New(kafka.Config{Brokers: brokers, Topic: topic, ClientID: "test"})
	t.Cleanup(func() { closeProducer(t, p) })
	return p
}

// compare reads the topic with an independent client, and compares it with the callers' results. direct are addresses
// without a proxy.
func compare(t *testing.T, l *ledger.Ledger, direct []string, topic string) ledger.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience) // a long run has millions
	defer cancel()
	log := must.Get[[]realkafka.Record](t)(realkafka.Read(ctx, direct, topic))
	report, err := l.Compare(log)
	if err != nil {
		t.Error(err)
	}
	t.Log(report)
	return report
}

func closeProducer(t *testing.T, p *kafka.Producer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func deny(t *testing.T, c *realkafka.Cluster, topic string, operations ...kmsg.ACLOperation) {
	t.Helper()
	for _, op := range operations {
		if err := c.Deny(t.Context(), realkafka.OtherUser, topic, op); err != nil {
			t.Fatal(err)
		}
	}
}
