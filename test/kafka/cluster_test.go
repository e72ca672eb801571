package kafka_test

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/kafka/ledger"
	"userrelay/test/must"
	"userrelay/test/quiet"
	"userrelay/test/wait"
)

// TestOneNode has the tests that need no special settings, with one broker, because its start takes time.
func TestOneNode(t *testing.T) {
	t.Parallel()
	c, proxies := proxied(t, 1)
	testSizes(t, c, "large", registration.MaxRecord)
	testSizes(t, c, "small", 50_000)
	testClock(t, c)
	testFaults(t, c, proxies[0])
}

// testSizes delivers events with profiles of random sizes, including one of 2 MB, concurrently. Each is in the log once:
// with its profile if that fits a batch of limit bytes, and otherwise without it and marked as such.
func testSizes(t *testing.T, c *realkafka.Cluster, topic string, limit int) {
	t.Helper()
	works(t, c.CreateTopic(t.Context(), topic, 4, 1, map[string]string{"max.message.bytes": strconv.Itoa(limit)}))
	r := relay.New(relay.Config{Producer: newProducer(t, c, topic), Observer: quiet.Observer{}, KafkaTimeout: patience})
	defer r.Close(t.Context())
	draw := rand.New(rand.NewPCG(3, 3))
	sizes := map[string]int{"large": 2_000_000}
	for i := range 300 {
		size := draw.IntN(3000)
		if i%10 == 0 {
			size = draw.IntN(2 * limit)
		}
		sizes[strconv.Itoa(i)] = size
	}
	var all sync.WaitGroup
	for id, size := range sizes {
		all.Go(func() {
			if _, err := r.Deliver(t.Context(), registration.Event{
				ID: id, UserID: "auth0|" + id, Source: "urn:auth0:test", Time: time.Now(), Profile: []byte(`{"bio":"` + strings.Repeat("x", size) + `"}`),
			}); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	all.Wait()
	log := read(t, c, topic)
	if len(log) != len(sizes) {
		t.Errorf("%d records of %d events", len(log), len(sizes))
	}
	for i := range log {
		const around = 900 // key, headers, batch, and what a record's size is overestimated by
		id := log[i].Header(ledger.IDHeader)
		size, ok := sizes[id]
		delete(sizes, id)
		omitted, has := log[i].Header("ce_profileomitted") == "true", bytes.Contains(log[i].Value, []byte(`"bio"`))
		if !ok || has == omitted || omitted && size+around <= limit || !omitted && size > limit {
			t.Errorf("%s, once: %v, with %d bytes at a limit of %d: has its profile %v, is marked as without %v", id, ok, size, limit, has, omitted)
		}
	}
}

// testClock has Kafka refuse records because of this machine's clock: an operator must fix that, and the record is not
// the cause.
func testClock(t *testing.T, c *realkafka.Cluster) {
	t.Helper()
	works(t, c.CreateTopic(t.Context(), "strict", 1, 1, map[string]string{"message.timestamp.before.max.ms": "60000"}))
	for behind, class := range map[time.Duration]delivery.Class{0: "", time.Hour: delivery.TopicRule} {
		p := kafka.New(kafka.Config{
			Brokers: c.Bootstrap(realkafka.Plaintext), Topic: "strict", Now: func() time.Time { return time.Now().Add(-behind) },
		})
		defer closeProducer(t, p)
		if _, err := p.Produce(wait.Context(t), ledger.Record("x")); delivery.ClassOf(err) != class {
			t.Errorf("%v behind: %v, want class %q", behind, err, class)
		}
	}
}

// testFaults breaks the connections to a broker, and the broker, under the load of two producers. The callers of one
// wait for the outcome of their records, whatever happens: all are stored once. Those of the other give up early and
// try again, as a relay's callers do: they may make copies.
func testFaults(t *testing.T, c *realkafka.Cluster, proxy *faultproxy.Proxy) {
	t.Helper()
	node := c.Node(1)
	works(t, c.CreateTopic(t.Context(), topic, 4, 1, nil))
	works(t, c.CreateTopic(t.Context(), "impatient", 4, 1, nil))
	patient, impatient := newProducer(t, c, topic), newProducer(t, c, "impatient")
	var waiting, leaving ledger.Ledger
	stop := load(t, 2*time.Millisecond, noted(patient, &waiting, 1, patience))
	stopLeaving := load(t, 2*time.Millisecond, noted(impatient, &leaving, 3, 300*time.Millisecond))
	for _, f := range []faultproxy.Faults{
		{Share: 0.05, Do: []faultproxy.Action{faultproxy.CutAfter, faultproxy.CutOnAnswer}},
		{Share: 0.05, Do: []faultproxy.Action{faultproxy.CutBefore, faultproxy.CutOnAnswer}, Reset: true},
		{Share: 0.02, Do: []faultproxy.Action{faultproxy.Silence}}, // attempts end without an answer
		{Refuse: true},
		{BlackHole: true},
		{Delay: 200 * time.Millisecond},
		{},
	} {
		proxy.Set(t, f)
		<-time.After(faultTime)
	}
	again := func() error { return node.Restart(t.Context()) }
	for _, f := range []struct{ end, again func() error }{{node.Kill, again}, {node.Pause, node.Resume}, {node.Kill, again}} {
		works(t, f.end())
		<-time.After(faultTime / 4)
		works(t, f.again())
		<-time.After(faultTime)
	}
	stop()
	stopLeaving()
	closeProducer(t, impatient) // records with an unknown outcome may still be in flight
	stats := proxy.Stats()
	t.Log(stats)
	if stats.Cuts == 0 || stats.Silenced == 0 {
		t.Error("no fault was injected")
	}
	wantOnce(t, compare(t, &waiting, c, topic))
	if r := compare(t, &leaving, c, "impatient"); r.Acknowledged == 0 || r.Unknown+r.Refused == 0 {
		t.Error("the faults did not reach the callers")
	}
}

// TestThreeNodes kills and stops a leader under load, restarts it, and returns its partitions.
func TestThreeNodes(t *testing.T) {
	t.Parallel()
	c, proxies := proxied(t, 3)
	works(t, c.CreateTopic(t.Context(), topic, 6, 3, nil))
	var l ledger.Ledger
	stop := load(t, 20*time.Millisecond, noted(newProducer(t, c, topic), &l, 1, patience))
	for _, proxy := range proxies {
		proxy.Set(t, faultproxy.Faults{Share: 0.005, Do: []faultproxy.Action{faultproxy.CutAfter, faultproxy.CutOnAnswer}})
	}
	changeLeaders(t, c, (*realkafka.Node).Kill)
	changeLeaders(t, c, func(n *realkafka.Node) error { return n.Stop(t.Context()) })
	stop()
	wantOnce(t, compare(t, &l, c, topic))
}

// changeLeaders ends the leader of the first partition, waits for another leader, restarts the first and makes it the
// leader again.
func changeLeaders(t *testing.T, c *realkafka.Cluster, end func(*realkafka.Node) error) {
	t.Helper()
	leader := must.Get[*realkafka.Node](t)(c.Leader(t.Context(), topic, 0))
	leads := func(yes bool) func() bool {
		return func() bool {
			now, err := c.Leader(t.Context(), topic, 0)
			return err == nil && (now == leader) == yes
		}
	}
	works(t, end(leader))
	wait.For(t, "another node leads", leads(false))
	<-time.After(faultTime / 2)
	const scarce = "WARN topic user-events: partitions 0, 1, 2, 3, 4, 5 have just as many replicas in sync as min.insync.replicas"
	wait.For(t, "a diagnosis says "+scarce, func() bool {
		return strings.Contains(diagnosis(t, kafka.Config{Brokers: c.Bootstrap(realkafka.Plaintext), Topic: topic}), scarce)
	})
	works(t, leader.Restart(t.Context()))
	works(t, c.WaitInSync(t.Context(), topic))
	works(t, c.ElectPreferred(t.Context(), topic, 0, 1, 2, 3, 4, 5))
	wait.For(t, "it leads again", leads(true))
	<-time.After(faultTime / 2)
}

// TestClusterSwapped puts two producers under load while their cluster is repeatedly killed, wiped and restarted at
// the same address with the same cluster id. Each new cluster assigns the same producer ids. Records that are
// acknowledged after the old cluster has ended are in the new one.
func TestClusterSwapped(t *testing.T) {
	t.Parallel()
	c, _ := proxied(t, 1)
	works(t, c.CreateTopic(t.Context(), topic, 4, 1, nil))
	node := c.Node(1)
	producers := []*kafka.Producer{newProducer(t, c, topic), newProducer(t, c, topic)}
	for range 3 {
		var old, anew ledger.Ledger
		var present atomic.Pointer[ledger.Ledger]
		present.Store(&old)
		stop := load(t, 0, func(r registration.Record) {
			md, err := producers[rand.IntN(2)].Produce(t.Context(), r)
			present.Load().Note(r, md, err)
		})
		waitFor(t, &old, 4000) // under way in all lanes
		for _, step := range []func() error{node.Kill, node.Wipe, func() error { return node.Restart(t.Context()) }} {
			works(t, step())
		}
		present.Store(&anew) // what the old one answered was read long ago, and the new one has no topic yet
		works(t, c.CreateTopic(t.Context(), topic, 4, 1, nil))
		waitFor(t, &anew, 4000)
		stop()
		compare(t, &anew, c, topic)
	}
}

// waitFor waits until n records are acknowledged.
func waitFor(t *testing.T, l *ledger.Ledger, n int) {
	t.Helper()
	wait.For(t, "records are stored", func() bool { r, _ := l.Compare(nil); return r.Acknowledged >= n })
}
