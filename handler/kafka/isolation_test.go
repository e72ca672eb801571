package kafka_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

// TestOnePartitionStopsNoOther has a broker refuse the records of one partition, for several reasons. Records of the
// others are stored during that time.
func TestOnePartitionStopsNoOther(t *testing.T) {
	t.Parallel()
	const partitions, waiters = 4, 40 // more than there are lanes
	for _, code := range []int16{6, 7, 19, 20, -1} {
		t.Run(strconv.Itoa(int(code)), func(t *testing.T) {
			t.Parallel()
			c := startBroker(t, kfake.SeedTopics(partitions, topic))
			p := newProducer(t, c.ListenAddrs())
			var l ledger.Ledger
			l.Note("first", produce(t, p, "first"), nil)
			f := faultOf(code, -1)
			f.Partitions = []int32{0}
			fault := c.Fault(f)

			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var others, stuck sync.WaitGroup
			note := func(id, key string) error {
				md, err := p.Produce(ctx, keyed(id, key))
				l.Note(id, md, err)
				return err
			}
			for i := range waiters {
				stuck.Go(func() {
					if err := note(fmt.Sprint("stuck-", i), keyIn(0, partitions, i)); err != nil {
						t.Errorf("of the partition itself: %v", err)
					}
				})
				others.Go(func() {
					for j := range 20 {
						if err := note(fmt.Sprint("other-", i, "-", j), keyIn(1+j%3, partitions, i)); err != nil {
							t.Errorf("of another partition: %v", err)
						}
					}
				})
			}
			others.Wait()
			if fault.Hits() == 0 {
				t.Error("nothing went to the partition that is at fault")
			}
			fault.Remove()
			stuck.Wait()
			if r := compare(t, &l, c); r.Copies != 0 || r.Acknowledged != waiters*21+1 {
				t.Error(r)
			}
		})
	}
}

// TestPartitionWithoutLeader has a partition get a leader some time after the start.
func TestPartitionWithoutLeader(t *testing.T) {
	t.Parallel()
	c := startBroker(t, kfake.SeedTopics(2, topic))
	var mu sync.Mutex
	leaderless, asked := true, 0
	c.ControlKey(kmsg.Metadata.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if asked++; !leaderless {
			return nil, nil, false
		}
		resp, ok := r.ResponseKind().(*kmsg.MetadataResponse)
		if !ok {
			return nil, nil, false
		}
		broker := kmsg.NewMetadataResponseBroker()
		broker.Host, broker.Port = hostPort(t, c.ListenAddrs()[0])
		resp.Brokers = append(resp.Brokers, broker)
		answer := kmsg.NewMetadataResponseTopic()
		answer.Topic = new(topic)
		for id := range int32(2) {
			part := kmsg.NewMetadataResponseTopicPartition()
			part.Partition = id
			if id == 0 {
				part.ErrorCode, part.Leader = 5, -1 // LEADER_NOT_AVAILABLE
			}
			answer.Partitions = append(answer.Partitions, part)
		}
		resp.Topics = append(resp.Topics, answer)
		return resp, nil, true
	})
	p := newProducer(t, c.ListenAddrs())
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second) // less than the interval of the regular looks
	defer cancel()
	waits := begin(ctx, p, keyed("x", keyIn(0, 2, 0)))
	if _, err := p.Produce(ctx, keyed("y", keyIn(1, 2, 0))); err != nil {
		t.Errorf("of the partition that has a leader: %v", err)
	}
	mu.Lock()
	before := asked
	mu.Unlock()
	wait.For(t, "it is asked again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return asked > before
	})
	mu.Lock()
	leaderless = false
	mu.Unlock()
	if _, err := waits.wait(t); err != nil {
		t.Errorf("of the partition that has got one: %v", err)
	}
}

// TestBlackHoleStopsNoOther has one of three brokers drop all packets, including those of new connections.
func TestBlackHoleStopsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.three(t, 3)
		p := v.producer(t, c.ListenAddrs())
		produceIn := func(n, partition int) {
			if _, err := p.Produce(within(t, time.Second), keyed(strconv.Itoa(n), keyIn(partition, 3, n%100))); err != nil {
				t.Fatalf("record %d, for partition %d: %v", n, partition, err)
			}
		}
		for i := range 3 {
			produceIn(i, i)
		}
		v.set(c.ListenAddrs()[0], mute)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var stuck []*pending
		for i := range 20 {
			stuck = append(stuck, begin(ctx, p, keyed(fmt.Sprint("stuck-", i), keyIn(0, 3, i))))
		}
		for n := range 700 { // for longer than an attempt takes, and several looks at the cluster
			pass(10 * time.Millisecond)
			produceIn(n, 1+n%2)
		}
		cancel()
		for _, call := range stuck {
			_, err := call.wait(t)
			if class := delivery.ClassOf(err); class != delivery.Unavailable && class != delivery.UnknownOutcome {
				t.Errorf("at the black hole: %v", err)
			}
		}
	})
}
