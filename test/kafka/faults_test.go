package kafka_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/kafka/ledger"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// background puts a producer under load until stop is called, which also the end of the test does.
func background(t *testing.T, l *ledger.Ledger, p ledger.Producer, load ledger.Load) (stop func()) {
	t.Helper()
	stop = sync.OnceFunc(l.Start(p, load))
	t.Cleanup(stop)
	return stop
}

// inject injects faults for a while, under load.
func inject(t *testing.T, proxy *faultproxy.Proxy, f faultproxy.Faults) {
	t.Helper()
	proxy.Set(t, f)
	<-time.After(faultTime)
}

// testFaults breaks the connections to a broker, and the broker, under the load of two producers. The callers of one
// wait for the outcome of their records, whatever happens: all are stored once. Those of the other give up early and
// try again, as a relay's callers do: they may make copies.
func testFaults(t *testing.T, c *realkafka.Cluster, proxy *faultproxy.Proxy) {
	t.Helper()
	node := c.Node(1)
	createTopic(t, c, topic, 4, 1)
	createTopic(t, c, "impatient", 4, 1)
	patient, impatient := newProducer(t, c.Bootstrap(realkafka.Plaintext), topic), newProducer(t, c.Bootstrap(realkafka.Plaintext), "impatient")
	var waiting, leaving ledger.Ledger
	stop := background(t, &waiting, patient, ledger.Load{Timeout: patience, Pause: 2 * time.Millisecond})
	stopLeaving := background(t, &leaving, impatient, ledger.Load{Timeout: 300 * time.Millisecond, Retries: 2, Pause: 2 * time.Millisecond})

	for _, f := range []faultproxy.Faults{
		{Share: 0.05, Do: []faultproxy.Action{faultproxy.CutAfter, faultproxy.CutOnAnswer}},
		{Share: 0.05, Do: []faultproxy.Action{faultproxy.CutBefore, faultproxy.CutOnAnswer}, Reset: true},
		{Share: 0.02, Do: []faultproxy.Action{faultproxy.Silence}}, // attempts end without an answer
		{Refuse: true},
		{BlackHole: true},
		{Delay: 200 * time.Millisecond},
		{},
	} {
		inject(t, proxy, f)
	}
	again := func() error { return node.Restart(t.Context()) }
	for _, f := range []struct{ end, again func() error }{{node.Kill, again}, {node.Pause, node.Resume}, {node.Kill, again}} {
		if err := f.end(); err != nil {
			t.Fatal(err)
		}
		<-time.After(faultTime / 4)
		if err := f.again(); err != nil {
			t.Fatal(err)
		}
		inject(t, proxy, faultproxy.Faults{})
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
	const partitions = 6
	createTopic(t, c, topic, partitions, 3)
	p := newProducer(t, c.Bootstrap(realkafka.Plaintext), topic)
	var l ledger.Ledger
	stop := background(t, &l, p, ledger.Load{Timeout: patience, Pause: 20 * time.Millisecond})
	for _, proxy := range proxies {
		proxy.Set(t, faultproxy.Faults{Share: 0.005, Do: []faultproxy.Action{faultproxy.CutAfter, faultproxy.CutOnAnswer}})
	}
	changeLeaders(t, c, partitions, (*realkafka.Node).Kill)
	changeLeaders(t, c, partitions, func(n *realkafka.Node) error { return n.Stop(t.Context()) })
	stop()
	wantOnce(t, compare(t, &l, c, topic))
}

// changeLeaders ends the leader of the first partition, waits for another leader, restarts the first and makes it the
// leader again.
func changeLeaders(t *testing.T, c *realkafka.Cluster, partitions int, end func(*realkafka.Node) error) {
	t.Helper()
	leader := must.Get[*realkafka.Node](t)(c.Leader(t.Context(), topic, 0))
	if err := end(leader); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "another node leads", func() bool {
		now, err := c.Leader(t.Context(), topic, 0)
		return err == nil && now != leader
	})
	<-time.After(faultTime / 2)
	const scarce = "WARN topic user-events: partitions 0, 1, 2, 3, 4, 5 have just as many replicas in sync as min.insync.replicas"
	wait.For(t, "a diagnosis says "+scarce, func() bool {
		return strings.Contains(diagnosis(t, kafka.Config{Brokers: c.Bootstrap(realkafka.Plaintext), Topic: topic}), scarce)
	})
	if err := leader.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitInSync(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	if err := c.ElectPreferred(t.Context(), topic, all...); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "it leads again", func() bool {
		now, err := c.Leader(t.Context(), topic, 0)
		return err == nil && now == leader
	})
	<-time.After(faultTime / 2)
}

// TestClusterSwapped puts two producers under load while their cluster is repeatedly killed, wiped and restarted at
// the same address with the same cluster id. Each new cluster assigns the same producer ids. Records that are
// acknowledged after the old cluster has ended are in the new one.
func TestClusterSwapped(t *testing.T) {
	t.Parallel()
	c, _ := proxied(t, 1)
	createTopic(t, c, topic, 4, 1)
	node := c.Node(1)
	present := new(atomic.Pointer[ledger.Ledger])
	var producers [2]swapped
	for i := range producers {
		producers[i] = swapped{newProducer(t, c.Bootstrap(realkafka.Plaintext), topic), present}
	}
	for range 3 {
		var old, anew, all ledger.Ledger
		present.Store(&old)
		var stops []func()
		for i, p := range producers {
			stops = append(stops, background(t, &all, p, ledger.Load{Timeout: patience, Name: string(rune('a' + i))}))
		}
		waitFor(t, &old, 2000) // under way in all lanes
		for _, step := range []func() error{node.Kill, node.Wipe, func() error { return node.Restart(t.Context()) }} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		present.Store(&anew) // what the old one answered was read long ago, and the new one has no topic yet
		createTopic(t, c, topic, 4, 1)
		waitFor(t, &anew, 2000)
		for _, stop := range stops {
			stop()
		}
		compare(t, &anew, c, topic)
	}
}

// swapped is a producer whose results are noted for the present cluster.
type swapped struct {
	ledger.Producer
	present *atomic.Pointer[ledger.Ledger]
}

func (s swapped) Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	md, err := s.Producer.Produce(ctx, r)
	s.present.Load().Note(strings.TrimPrefix(string(r.Key), "auth0|"), md, err)
	return md, err
}

// waitFor waits until n records are acknowledged.
func waitFor(t *testing.T, l *ledger.Ledger, n int) {
	t.Helper()
	wait.For(t, "records are stored", func() bool { r, _ := l.Compare(nil); return r.Acknowledged >= n })
}
