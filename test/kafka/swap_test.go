package kafka_test

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"userrelay/handler/kafka"
	"userrelay/local/realkafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// swapsFlag is the number of swaps in TestClusterSwapped.
const swapsFlag = "swaps"

// TestClusterSwapped puts two producers under load while their cluster is repeatedly killed, wiped and restarted at
// the same address with the same cluster id. Each new cluster assigns the same producer ids. Records that are
// acknowledged after the old cluster has ended are in the new one.
func TestClusterSwapped(t *testing.T) {
	t.Parallel()
	swaps, err := strconv.Atoi(flag.Lookup(swapsFlag).Value.String())
	if err != nil {
		t.Fatal(err)
	}
	c := kafkatest.Start(t, realkafka.Options{Listeners: []realkafka.Listener{realkafka.Plaintext}})
	if err := c.CreateTopic(t.Context(), topic, 4, 1, nil); err != nil {
		t.Fatal(err)
	}
	node := c.Node(1)
	producers := [2]*kafka.Producer{newProducer(t, c.Bootstrap(realkafka.Plaintext), topic), newProducer(t, c.Bootstrap(realkafka.Plaintext), topic)}
	total := 0
	for swap := range swaps {
		var s told
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for i, p := range producers {
			for j := range 32 {
				callers.Go(func() { s.call(ctx, p, fmt.Sprint(swap, "-", i, "-", j)) })
			}
		}
		s.wait(t, 2000) // under way in all lanes
		if err := node.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := node.Wipe(); err != nil {
			t.Fatal(err)
		}
		if err := node.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.begin() // what the old one answered was read long ago, and the new one has no topic yet
		if err := c.CreateTopic(t.Context(), topic, 4, 1, nil); err != nil {
			t.Fatal(err)
		}
		s.wait(t, 2000)
		cancel()
		callers.Wait()
		log := must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), []string{node.Addr(realkafka.Plaintext)}, topic))
		n, lost := s.compare(log)
		total += n
		if lost > 0 {
			t.Errorf("swap %d: %d of %d acknowledged records do not lie where they should", swap, lost, n)
		}
	}
	t.Logf("%d swaps, %d records acknowledged by the new clusters", swaps, total)
}

// told has the results for callers.
type told struct {
	mu     sync.Mutex
	stored int
	places map[string]place // of records, by what the present cluster said; nil: not yet
}

type place struct {
	partition int
	offset    int64
}

// call produces records one after the other until ctx ends, and waits for the outcome of each.
func (s *told) call(ctx context.Context, p *kafka.Producer, name string) {
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprint(name, "-", i)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		md, err := p.Produce(limit, ledger.Record(id))
		cancel()
		if err != nil {
			continue // unknown outcomes are true at a swap
		}
		s.mu.Lock()
		s.stored++
		if s.places != nil {
			s.places[id] = place{md.Partition, md.Offset}
		}
		s.mu.Unlock()
	}
}

// begin notes that only the current cluster answers from now on.
func (s *told) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places = map[string]place{}
}

// wait waits until n more records are acknowledged.
func (s *told) wait(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.stored
	}
	before := count()
	wait.For(t, "records are stored", func() bool { return count() >= before+n })
}

// compare returns how many records the current cluster acknowledged, and how many of them are not at their place.
func (s *told) compare(log []realkafka.Record) (acknowledged, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := map[place]string{}
	for i := range log {
		at[place{int(log[i].Partition), log[i].Offset}] = log[i].Header(ledger.IDHeader)
	}
	for id, p := range s.places {
		if at[p] != id {
			lost++
		}
	}
	return len(s.places), lost
}
