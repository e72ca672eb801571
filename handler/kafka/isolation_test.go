package kafka_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/test/recorder"
)

// TestOnePartitionStopsNoOther has a broker refuse the records of one partition, for several reasons. Records of the
// others are stored during that time.
func TestOnePartitionStopsNoOther(t *testing.T) {
	t.Parallel()
	const partitions, waiters = 4, 40 // more than there are lanes
	for _, code := range []int16{6, 7, 19} {
		virtually(t, strconv.Itoa(int(code)), func(v *virtual) {
			c := v.broker(kfake.SeedTopics(partitions, topic))
			p := v.producer(c)
			v.store(p, record("first"))
			f := faultOf(code, -1)
			f.Partitions = []int32{0}
			fault := c.Fault(f)
			var others, stuck sync.WaitGroup
			for i := range waiters {
				stuck.Go(func() { v.store(p, keyed(fmt.Sprint("stuck-", i), keyIn(0, partitions, i))) })
				others.Go(func() {
					for j := range 20 {
						if _, took := v.store(p, keyed(fmt.Sprint("other-", i, "-", j), keyIn(1+j%3, partitions, i))); took > time.Second {
							v.Errorf("of another partition: after %v", took)
						}
					}
				})
			}
			others.Wait()
			if fault.Hits() == 0 {
				v.Error("nothing went to the partition that is at fault")
			}
			fault.Remove()
			stuck.Wait()
			if r := v.compare(c); r.Copies != 0 {
				v.Errorf("%+v", r)
			}
		})
	}
}

// TestPartitionWithoutLeader has a partition get a leader some time after the start, before the next regular look.
func TestPartitionWithoutLeader(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.three(3)
		var leads atomic.Bool
		partition(0, func(q *kmsg.MetadataResponseTopicPartition) {
			if !leads.Load() {
				q.ErrorCode, q.Leader = 5, -1 // LEADER_NOT_AVAILABLE
			}
		})(v, c)
		p := v.producer(c)
		waits := v.begin(v.within(8*time.Second), p, keyed("x", keyIn(0, 3, 0)))
		if _, took := v.store(p, keyed("y", keyIn(1, 3, 0))); took > time.Second {
			v.Errorf("the partition that has a leader took a record after %v", took)
		}
		pass(3 * time.Second)
		leads.Store(true)
		wantClass(v, <-waits, stored)
	})
}

// TestBlackHoleStopsNoOther has one of three brokers drop all packets, including those of new connections.
func TestBlackHoleStopsNoOther(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.three(3)
		p := v.producer(c)
		storeIn := func(n, partition int) {
			if _, took := v.store(p, keyed(strconv.Itoa(n), keyIn(partition, 3, n%100))); took > time.Second {
				v.Errorf("record %d, for partition %d, after %v", n, partition, took)
			}
		}
		for i := range 3 {
			storeIn(i, i)
		}
		v.set(c.ListenAddrs()[0], mute)
		ctx, cancel := context.WithCancel(v.Context())
		var stuck []<-chan error
		for i := range 20 {
			stuck = append(stuck, v.begin(ctx, p, keyed(fmt.Sprint("stuck-", i), keyIn(0, 3, i))))
		}
		for n := range 700 { // for longer than an attempt takes, and several looks at the cluster
			pass(10 * time.Millisecond)
			storeIn(n, 1+n%2)
		}
		cancel()
		v.wantEach(stuck, delivery.Unavailable, delivery.UnknownOutcome)
	})
}

// TestLanes has a broker answer after round trips, and then stop answering. As many lanes send a record at once as the
// shortest round trip of the last seconds suggests: an average would grow with the broker's own queue. If they are
// stuck, another lane sends the next record after 25 ms, as long as there are lanes.
func TestLanes(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		roundTrips []time.Duration
		pause      time.Duration // after each
		atOnce     int32
	}{
		"a fast broker":                  {[]time.Duration{0}, time.Second, 2},
		"a millisecond":                  {[]time.Duration{ms}, time.Second, 2},
		"two milliseconds":               {[]time.Duration{2 * ms}, time.Second, 4},
		"five milliseconds":              {[]time.Duration{5 * ms}, time.Second, 8},
		"fast and slow":                  {[]time.Duration{0, 5 * ms}, ms, 2},
		"slow, and fast a second before": {[]time.Duration{0, 5 * ms}, 1100 * ms, 2},
		"slow, and fast long before":     {[]time.Duration{0, 5 * ms, 5 * ms}, 1100 * ms, 8},
	} {
		virtually(t, name, func(v *virtual) {
			b := v.broker()
			p := v.producer(b)
			pass(time.Second) // all lanes are connected
			for i, d := range c.roundTrips {
				v.slow(d)
				v.store(p, record(fmt.Sprint("before-", i)))
				pass(c.pause)
			}
			requests := unanswered(b)
			sent := func(n int32, when string) {
				if synctest.Wait(); requests.Load() != n {
					v.Errorf("%d requests %s, want %d", requests.Load(), when, n)
				}
			}
			for n := range int32(8) {
				v.begin(v.Context(), p, record(strconv.Itoa(int(n))))
				sent(max(n, min(n+1, c.atOnce)), "at once")
				pass(25 * ms)
				sent(n+1, "after 25 ms")
			}
		})
	}
}

// TestManyRecords has two lanes wait for an answer: when many records wait, another lane sends them at once.
func TestManyRecords(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		b := v.broker()
		p := v.producer(b)
		v.store(p, record("before"))
		pass(time.Second) // all lanes are connected
		requests := unanswered(b)
		for n := range int32(2 + 32) {
			v.begin(v.Context(), p, record(strconv.Itoa(int(n))))
			synctest.Wait()
			if want := min(n+1, 2) + n/33; requests.Load() != want {
				v.Errorf("record %d: %d requests, want %d", n, requests.Load(), want)
			}
		}
	})
}

// unanswered has a broker answer no Produce request any more, and counts them.
func unanswered(c *kfake.Cluster) *atomic.Int32 {
	var requests atomic.Int32
	control(c, kmsg.Produce, func(kmsg.Request) (kmsg.Response, error, bool) {
		requests.Add(1)
		return nil, nil, true
	})
	return &requests
}

// TestRates puts a producer under load while nothing can be stored, and counts the requests to the broker and the log
// lines. Without limits there would be thousands.
func TestRates(t *testing.T) {
	t.Parallel()
	const (
		window = 2 * time.Second
		most   = 60 * int(window/time.Second) // requests of all kinds, for one partition
		lasts  = 3                            // lines
	)
	deleteTopic := func(v *virtual, c *kfake.Cluster) { wantClass(v, c.DeleteTopic(topic), stored) }
	for name, c := range map[string]struct {
		edit  func(*kafka.Config)
		begin spoiler        // before the producer starts
		spoil spoiler        // after a record was stored
		class delivery.Class // of the errors; a caller may also give up while its record is on the wire
	}{
		"no such topic":            {begin: deleteTopic, class: delivery.UnknownTopic},
		"topic deleted":            {spoil: deleteTopic, class: delivery.UnknownTopic},
		"topic not to be seen":     {begin: answers(kmsg.Metadata, 29), class: delivery.NotAuthorized},
		"topic not to be written":  {spoil: answers(kmsg.Produce, 29), class: delivery.NotAuthorized},
		"no right to an id":        {begin: answers(kmsg.InitProducerID, 31), class: delivery.NotAuthorized},
		"wrong password":           {edit: login("user", "wrong"), class: delivery.Unavailable},
		"throttled":                {spoil: answers(kmsg.Produce, 44), class: delivery.Throttled},
		"never the right leader":   {spoil: answers(kmsg.Produce, 6), class: delivery.Unavailable},
		"too few replicas":         {spoil: answers(kmsg.Produce, 19), class: delivery.Unavailable},
		"out of order":             {spoil: answers(kmsg.Produce, 45), class: delivery.Unavailable},
		"no producer ids for long": {begin: answers(kmsg.InitProducerID, 14), class: delivery.Unavailable},
	} {
		virtually(t, name, func(v *virtual) {
			b := v.broker(kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "right"))
			if c.begin != nil {
				c.begin(v, b)
			}
			var log recorder.Recorder
			edits := []func(*kafka.Config){login("user", "right"), logTo(&log)}
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			p := v.producer(b, edits...)
			if c.spoil != nil {
				v.store(p, record("before"))
				c.spoil(v, b)
			}
			v.underLoad(p, time.Second) // it begins
			var requests atomic.Int64
			b.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
				b.KeepControl()
				requests.Add(1)
				return nil, nil, false
			})
			classes := v.underLoad(p, window)
			if n := int(requests.Load()); n > most || told(&log, "\n") > lasts {
				v.Errorf("%d requests in %v, want at most %d; logged: %s", n, window, most, log.String())
			}
			if classes[c.class] == 0 || classes[stored] != 0 {
				v.Errorf("callers were told %v, want %q", classes, c.class)
			}
		})
	}
}

// underLoad has 20 callers produce for a time, each a record every 5 ms with a time limit of 300 ms. It returns the
// number of results of each kind.
func (v *virtual) underLoad(p *kafka.Producer, d time.Duration) map[delivery.Class]int {
	var mu sync.Mutex
	told := map[delivery.Class]int{}
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			for began := time.Now(); time.Since(began) < d; pass(5 * time.Millisecond) {
				limit, cancel := context.WithTimeout(v.Context(), 300*time.Millisecond)
				_, err := p.Produce(limit, record(strconv.Itoa(i)))
				cancel()
				mu.Lock()
				told[delivery.ClassOf(err)]++
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	return told
}
