package kafka_test

import (
	"context"
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

const (
	topic     = "user-events"
	patience  = wait.Patience
	faultTime = 4 * time.Second // how long each kind of fault lasts
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proxied starts Kafka with a fault proxy before the plaintext listener of each node.
func proxied(t *testing.T, nodes int) (*realkafka.Cluster, []*faultproxy.Proxy) {
	t.Helper()
	proxies := make([]*faultproxy.Proxy, nodes)
	for i := range proxies {
		proxies[i] = faultproxy.ForTest(t)
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

// createTopic creates a topic with a configuration, a list of names and values.
func createTopic(t *testing.T, c *realkafka.Cluster, name string, partitions, copies int, config ...string) {
	t.Helper()
	rules := map[string]string{}
	for i := 0; i+1 < len(config); i += 2 {
		rules[config[i]] = config[i+1]
	}
	if err := c.CreateTopic(t.Context(), name, partitions, copies, rules); err != nil {
		t.Fatal(err)
	}
}

// newProducer returns a producer without TLS and login that is closed before the test ends.
func newProducer(t *testing.T, brokers []string, topic string) *kafka.Producer {
	t.Helper()
	p := kafka.New(kafka.Config{Brokers: brokers, Topic: topic, ClientID: "test"})
	t.Cleanup(func() { closeProducer(t, p) })
	return p
}

// closeProducer waits for the outcome of all records.
func closeProducer(t *testing.T, p *kafka.Producer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// produce produces a record and waits for its outcome.
func produce(t *testing.T, p *kafka.Producer, id string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := p.Produce(ctx, ledger.Record(id))
	return err
}

// read returns the topic's records, by an independent client past all proxies.
func read(t *testing.T, c *realkafka.Cluster, topic string) []realkafka.Record {
	t.Helper()
	var direct []string
	for _, n := range c.Nodes() {
		direct = append(direct, n.Addr(realkafka.Plaintext))
	}
	return must.Get[[]realkafka.Record](t)(realkafka.Read(wait.Context(t), direct, topic))
}

// compare compares a topic with the callers' results.
func compare(t *testing.T, l *ledger.Ledger, c *realkafka.Cluster, topic string) ledger.Report {
	t.Helper()
	report, err := l.Compare(read(t, c, topic))
	if err != nil {
		t.Error(err)
	}
	t.Log(report)
	return report
}

// wantOnce fails the test unless all records are stored once.
func wantOnce(t *testing.T, r ledger.Report) {
	t.Helper()
	if r.Unknown != 0 || r.Refused != 0 || r.Copies != 0 || r.Acknowledged == 0 {
		t.Error("not all records are stored once")
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
