package kafka_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/kafka/ledger"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/quiet"
	"userrelay/test/wait"
)

// TestOneNode has the tests that need no special settings, with one broker, because its start takes time.
func TestOneNode(t *testing.T) {
	t.Parallel()
	proxies := map[realkafka.Listener]*faultproxy.Proxy{
		realkafka.Plaintext: faultproxy.ForTest(t, faultproxy.Options{}),
		realkafka.SASLSSL:   faultproxy.ForTest(t, faultproxy.Options{Framing: faultproxy.Bytes}),
	}
	c := kafkatest.Start(t, realkafka.Options{
		Listeners:   []realkafka.Listener{realkafka.Plaintext, realkafka.SASLSSL, realkafka.SASLReauth},
		ReauthAfter: time.Second,
		Properties:  map[string]string{"connections.max.idle.ms": "2000"},
		Advertise: func(_ int, l realkafka.Listener, addr string) (string, error) {
			if proxies[l] == nil {
				return addr, nil
			}
			proxies[l].SetTarget(addr)
			return proxies[l].Addr(), nil
		},
	})
	topics := map[string]map[string]string{topic: nil, "small": {"max.message.bytes": "50000"}, "short": nil}
	for name, config := range topics {
		if err := c.CreateTopic(t.Context(), name, 4, 1, config); err != nil {
			t.Fatal(err)
		}
	}
	// Sequentially, because they count requests in the proxies. The last one restarts the broker.
	testSizes(t, c, topic, registration.MaxRecord)
	testSizes(t, c, "small", 50_000)
	testReauth(t, c)
	plain := kafka.Config{Brokers: c.Bootstrap(realkafka.Plaintext), Topic: topic}
	testIdle(t, plain, proxies[realkafka.Plaintext], faultproxy.Produce)
	testIdle(t, kafka.Config{
		Brokers: c.Bootstrap(realkafka.SASLSSL), Topic: topic, TLS: c.CA().Client(),
		SASL: kafka.Plain(realkafka.User, realkafka.Password),
	}, proxies[realkafka.SASLSSL], faultproxy.Any)
	testTopics(t, c, []string{topic, "short", "small"})
	testLateBroker(t, c, plain)
}

// testSizes delivers events with profiles of random sizes, including one of 2 MB.
func testSizes(t *testing.T, c *realkafka.Cluster, topic string, limit int) {
	t.Helper()
	p := newProducer(t, c.Bootstrap(realkafka.Plaintext), topic)
	r := relay.New(relay.Config{Producer: p, Observer: quiet.Observer{}, KafkaTimeout: patience})
	defer r.Close(t.Context())
	events := []registration.Event{ledger.Profiled(topic+"-large", 2_000_000)}
	draw := rand.New(rand.NewPCG(3, 3))
	for i := range 300 {
		size := draw.IntN(3000)
		if i%10 == 0 {
			size = draw.IntN(2 * limit)
		}
		events = append(events, ledger.Profiled(fmt.Sprint(topic, "-", i), size))
	}
	var all sync.WaitGroup
	for _, e := range events {
		all.Go(func() {
			if _, err := r.Deliver(t.Context(), e); err != nil {
				t.Errorf("%s: %v", e.ID, err)
			}
		})
	}
	all.Wait()
	log := must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), c.Bootstrap(realkafka.Plaintext), topic))
	if err := ledger.CheckProfiles(log, events, limit); err != nil {
		t.Error(err)
	}
}

// testReauth produces for longer than a login is valid. The broker closes a connection at the first request after
// that, which callers must not notice.
func testReauth(t *testing.T, c *realkafka.Cluster) {
	t.Helper()
	p := kafka.New(kafka.Config{
		Brokers: c.Bootstrap(realkafka.SASLReauth), Topic: "short", SASL: kafka.Plain(realkafka.User, realkafka.Password),
	})
	defer closeProducer(t, p)
	var l ledger.Ledger
	l.Run(t.Context(), p, ledger.Load{Callers: 16, Each: 120, Timeout: 2 * time.Second, Pause: 25 * time.Millisecond})
	r := compare(t, &l, c.Bootstrap(realkafka.Plaintext), "short")
	if r.Acknowledged != 16*120 || r.Copies != 0 {
		t.Error("logins that end are noticed")
	}
}

// testIdle makes the broker close all idle connections, and then checks that each record needs one request.
func testIdle(t *testing.T, config kafka.Config, proxy *faultproxy.Proxy, key int16) {
	t.Helper()
	p := kafka.New(config)
	defer closeProducer(t, p)
	store := func(id string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := p.Produce(ctx, ledger.Record(id)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	store("before")
	wait.For(t, "all lanes are warm", func() bool { return proxy.Stats().Open >= 8 })
	wait.For(t, "the broker has closed their connections", func() bool { return proxy.Stats().Open == 0 })
	before := proxy.Stats()
	for i := range 20 {
		store(fmt.Sprint("after-", i))
	}
	after := proxy.Stats()
	sent := after.Requests[key] - before.Requests[key]
	if key == faultproxy.Any { // other requests belong to new connections or to metadata
		sent -= 10 * (after.Connections - before.Connections)
	}
	if sent > 20 {
		t.Errorf("20 records were sent in %d requests", sent)
	}
	if after.Connections == before.Connections {
		t.Error("no connection was made")
	}
}

// testTopics checks that there are no other topics: if the producer requested its id as a transactional producer, the
// broker would have created one.
func testTopics(t *testing.T, c *realkafka.Cluster, want []string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap(realkafka.Plaintext)...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	all := kmsg.NewMetadataRequest()
	all.Topics = nil
	resp, err := all.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, topic := range resp.Topics {
		names = append(names, *topic.Topic)
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the broker has the topics %q, want %q", names, want)
	}
}

// testLateBroker starts a producer before its broker.
func testLateBroker(t *testing.T, c *realkafka.Cluster, config kafka.Config) {
	t.Helper()
	if err := c.Node(1).Kill(); err != nil {
		t.Fatal(err)
	}
	p := kafka.New(config)
	defer closeProducer(t, p)
	var early sync.WaitGroup
	early.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := p.Produce(ctx, ledger.Record("early")); err != nil {
			t.Errorf("a record that waited for the broker: %v", err)
		}
	})
	if err := c.Node(1).Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	early.Wait()
}
