package kafka_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

// TestChaos has everything go wrong at once, by chance, under callers whose patience is a matter of chance too. When it
// is over nothing is left behind: no record in the books, none that waits and is never sent, and the log is as was told.
func TestChaos(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			connections, cut := &listener{}, &cutter{share: 0.01}
			c := startBroker(t, kfake.NumBrokers(3), kfake.SeedTopics(6, topic), kfake.ListenFn(cut.before(connections.listen)))
			p := newProducer(t, c.ListenAddrs())
			var l ledger.Ledger
			l.Note("before", produce(t, p, "before"), nil)

			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			var all sync.WaitGroup
			all.Go(func() { spoil(ctx, t, c, connections, seed) })
			for i := range 8 {
				load := ledger.Load{
					Callers: 8, Each: 1 << 30, Timeout: 5 * time.Millisecond << i, Pause: time.Millisecond,
					Name: fmt.Sprint(i, "-"),
				}
				all.Go(func() { l.Run(ctx, p, load) })
			}
			all.Wait()
			if cut.stop() == 0 {
				t.Error("nothing was cut")
			}
			wait.For(t, "the producer is done with all it had", func() bool { n, _ := p.Held(); return n == 0 })
			l.Run(t.Context(), p, ledger.Load{Callers: 32, Each: 10, Timeout: patience, Name: "after-"})
			if r := compare(t, &l, c); r.Acknowledged < 32*10 || r.Refused+r.Unknown == 0 {
				t.Error(r)
			}
		})
	}
}

// spoil does harm until ctx ends, and undoes it.
func spoil(ctx context.Context, t *testing.T, c *kfake.Cluster, connections *listener, seed uint64) {
	t.Helper()
	draw := rand.New(rand.NewPCG(seed, 1))
	codes := []int16{-1, 2, 3, 5, 6, 7, 10, 14, 19, 20, 29, 31, 44, 45, 47, 56, 59, 74, 75, 87, 89}
	var faults []*kfake.FaultHandle
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, f := range faults {
				f.Remove()
			}
			return
		}
		switch n := draw.IntN(20); {
		case n == 0:
			connections.cut(t, draw.IntN(2) == 0)
		case n == 1:
			c.ShufflePartitionLeaders()
		case n < 5:
			if err := c.MoveTopicPartition(topic, draw.Int32N(6), draw.Int32N(3)); err != nil {
				t.Error(err)
			}
		case n < 8 && len(faults) > 0:
			faults[draw.IntN(len(faults))].Remove()
		default:
			f := faultOf(codes[draw.IntN(len(codes))], 1+draw.IntN(3))
			f.Partitions = []int32{draw.Int32N(6)}
			faults = append(faults, c.Fault(f))
		}
	}
}
