package kafka_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/kafka/ledger"
	"userrelay/test/must"
	"userrelay/test/wait"
)

const topic = "user-events"

// background starts 64 callers that produce until stop is called, which waits for their last records.
func background(t *testing.T, l *ledger.Ledger, p ledger.Producer, load ledger.Load) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	load.Callers, load.Each = 64, 1<<30
	var callers sync.WaitGroup
	callers.Go(func() { l.Run(ctx, p, load) })
	t.Cleanup(func() {
		cancel()
		callers.Wait()
	})
	return func() {
		cancel()
		callers.Wait()
	}
}

// patient callers wait for the outcome of their records, whatever happens, so all records must be stored.
func patient() ledger.Load { return ledger.Load{Timeout: patience, Pause: 2 * time.Millisecond} }

// TestFaults puts a producer under load and breaks the connections to its broker, and the broker.
func TestFaults(t *testing.T) {
	t.Parallel()
	c, proxies := proxied(t, 1)
	if err := c.CreateTopic(t.Context(), topic, 4, 1, nil); err != nil {
		t.Fatal(err)
	}
	proxy, node := proxies[0], c.Node(1)
	p := newProducer(t, c.Bootstrap(realkafka.Plaintext), topic)
	var l ledger.Ledger
	stop := background(t, &l, p, patient())

	inject(t, proxy, faultproxy.Faults{Rules: []faultproxy.Rule{
		{Key: faultproxy.Produce, Share: 0.02, Do: []faultproxy.Action{faultproxy.CutAfter, faultproxy.CutOnAnswer}},
	}})
	inject(t, proxy, faultproxy.Faults{Reset: true, Rules: []faultproxy.Rule{
		{Key: faultproxy.Produce, Share: 0.02, Do: []faultproxy.Action{faultproxy.CutBefore, faultproxy.CutOnAnswer}},
	}})
	inject(t, proxy, faultproxy.Faults{Rules: []faultproxy.Rule{ // attempts end without an answer
		{Key: faultproxy.Produce, Share: 0.005, Do: []faultproxy.Action{faultproxy.Silence}},
	}})
	inject(t, proxy, faultproxy.Faults{Refuse: true})
	proxy.CutAll()
	inject(t, proxy, faultproxy.Faults{})
	for range 2 {
		if err := node.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := node.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		inject(t, proxy, faultproxy.Faults{})
	}
	stop()
	stats := proxy.Stats()
	t.Log(stats)
	if stats.Cuts() == 0 || stats.Actions[faultproxy.Silence] == 0 {
		t.Error("no fault was injected")
	}
	r := compare(t, &l, []string{node.Addr(realkafka.Plaintext)}, topic)
	if r.Unknown != 0 || r.Refused != 0 || r.Copies != 0 || r.Acknowledged == 0 {
		t.Error("not all records are stored once")
	}
}

// inject injects faults for a while, under load.
func inject(t *testing.T, proxy *faultproxy.Proxy, f faultproxy.Faults) {
	t.Helper()
	if err := proxy.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	select {
	case <-time.After(faultTime(t)):
	case <-t.Context().Done():
	}
}

// TestImpatientCallers has callers that give up early and try again, as a relay's callers do. Copies are permitted
// then.
func TestImpatientCallers(t *testing.T) {
	t.Parallel()
	c, proxies := proxied(t, 1)
	if err := c.CreateTopic(t.Context(), topic, 4, 1, nil); err != nil {
		t.Fatal(err)
	}
	proxy, node := proxies[0], c.Node(1)
	p := newProducer(t, c.Bootstrap(realkafka.Plaintext), topic)
	var l ledger.Ledger
	stop := background(t, &l, p, ledger.Load{Timeout: 300 * time.Millisecond, Retries: 2, Pause: 2 * time.Millisecond})
	inject(t, proxy, faultproxy.Faults{Rules: []faultproxy.Rule{
		{Key: faultproxy.Produce, Share: 0.02, Do: []faultproxy.Action{
			faultproxy.CutAfter, faultproxy.CutOnAnswer, faultproxy.Silence,
		}},
	}})
	inject(t, proxy, faultproxy.Faults{BlackHole: true})
	inject(t, proxy, faultproxy.Faults{Delay: 200 * time.Millisecond})
	if err := node.Pause(); err != nil {
		t.Fatal(err)
	}
	inject(t, proxy, faultproxy.Faults{})
	if err := node.Resume(); err != nil {
		t.Fatal(err)
	}
	inject(t, proxy, faultproxy.Faults{})
	stop()
	// Records with an unknown outcome may still be in flight.
	wait.For(t, "the producer is done", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		md, err := p.Produce(ctx, ledger.Record("last"))
		l.Note("last", md, err)
		return err == nil
	})
	closeProducer(t, p)
	if r := compare(t, &l, []string{node.Addr(realkafka.Plaintext)}, topic); r.Acknowledged == 0 || r.Unknown+r.Refused == 0 {
		t.Error("the faults did not reach the callers")
	}
}

// TestThreeNodes kills and stops a leader under load, restarts it, and returns its partitions.
func TestThreeNodes(t *testing.T) {
	t.Parallel()
	c, proxies := proxied(t, 3)
	const partitions = 6
	if err := c.CreateTopic(t.Context(), topic, partitions, 3, nil); err != nil {
		t.Fatal(err)
	}
	p := newProducer(t, c.Bootstrap(realkafka.Plaintext), topic)
	var l ledger.Ledger
	stop := background(t, &l, p, ledger.Load{Timeout: patience, Pause: 20 * time.Millisecond})
	for _, proxy := range proxies {
		if err := proxy.SetFaults(faultproxy.Faults{Rules: []faultproxy.Rule{
			{Key: faultproxy.Produce, Share: 0.005, Do: []faultproxy.Action{faultproxy.CutAfter, faultproxy.CutOnAnswer}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	changeLeaders(t, c, partitions, (*realkafka.Node).Kill)
	changeLeaders(t, c, partitions, func(n *realkafka.Node) error { return n.Stop(t.Context()) })
	stop()
	var direct []string
	for _, n := range c.Nodes() {
		direct = append(direct, n.Addr(realkafka.Plaintext))
	}
	r := compare(t, &l, direct, topic)
	if r.Unknown != 0 || r.Refused != 0 || r.Copies != 0 || r.Acknowledged == 0 {
		t.Error("not all records are stored once")
	}
	for i, proxy := range proxies {
		t.Log("node", i+1, fmt.Sprintf("%+v", proxy.Stats()))
	}
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
	<-time.After(faultTime(t) / 2)
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
	<-time.After(faultTime(t) / 2)
}
