package kafka_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/kafka"
	"userrelay/handler/registration"
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

// works ends the test if a step fails.
func works(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newProducer returns a producer without TLS and login that is closed before the test ends.
func newProducer(t *testing.T, c *realkafka.Cluster, topic string) *kafka.Producer {
	t.Helper()
	p := kafka.New(kafka.Config{Brokers: c.Bootstrap(realkafka.Plaintext), Topic: topic, ClientID: "test"})
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

// load has 32 callers produce one record after the other, with a pause. stop has them end, and waits for their last
// records; the end of the test also calls it.
func load(t *testing.T, pause time.Duration, produce func(registration.Record)) (stop func()) {
	t.Helper()
	end := make(chan struct{})
	var callers sync.WaitGroup
	for c := range 32 {
		callers.Go(func() {
			for i := 0; ; i++ {
				produce(ledger.Record(fmt.Sprintf("%d-%d", c, i)))
				select {
				case <-time.After(pause):
				case <-end:
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(end)
		callers.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// noted produces a record with a few attempts, and notes the result of each.
func noted(p *kafka.Producer, l *ledger.Ledger, attempts int, timeout time.Duration) func(registration.Record) {
	return func(r registration.Record) {
		for range attempts {
			limit, cancel := context.WithTimeout(context.Background(), timeout)
			md, err := p.Produce(limit, r)
			cancel()
			l.Note(r, md, err)
			if err == nil {
				return
			}
		}
	}
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
	t.Logf("%+v", report)
	return report
}

// wantOnce fails the test unless all records are stored once.
func wantOnce(t *testing.T, r ledger.Report) {
	t.Helper()
	if r.Unknown != 0 || r.Refused != 0 || r.Copies != 0 || r.Acknowledged == 0 {
		t.Error("not all records are stored once")
	}
}
