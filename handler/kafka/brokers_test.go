package kafka_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/test/kafka/ledger"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func record(id string) registration.Record { return ledger.Record(id) }

// three starts three brokers. Broker i leads the partitions whose number modulo 3 is i.
func (v *virtual) three(t *testing.T, partitions int32, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c := v.broker(t, append([]kfake.Opt{kfake.NumBrokers(3), kfake.Ports(9001, 9002, 9003), kfake.SeedTopics(partitions, topic)}, opts...)...)
	for i := range partitions {
		if err := c.MoveTopicPartition(topic, i, i%3); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// serving starts three brokers and a producer, which has stored a record.
func (v *virtual) serving(t *testing.T, partitions int32) (*kfake.Cluster, *kafka.Producer) {
	t.Helper()
	c := v.three(t, partitions)
	p := v.producer(t, c.ListenAddrs())
	store(t, p, "before", patience)
	return c, p
}

// TestFirstBrokerDies stops the only broker of KAFKA_BROKERS, and its partitions move to known brokers.
func TestFirstBrokerDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.three(t, 3)
		p := v.producer(t, c.ListenAddrs()[:1])
		for i := range 3 {
			if _, err := p.Produce(within(t, patience), keyed(strconv.Itoa(i), keyIn(i, 3, 0))); err != nil {
				t.Fatal(err)
			}
		}
		v.set(c.ListenAddrs()[0], refuses)
		if err := c.MoveTopicPartition(topic, 0, 1); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := p.Produce(within(t, patience), keyed("after", keyIn(0, 3, 1))); err != nil || time.Since(start) > time.Second {
			t.Errorf("the new leader was found after %v: %v", time.Since(start), err)
		}
	})
}

// TestBrokerComesBack: a leader refuses connections for half a minute and then leads again. The record that waits for it is
// stored at the next try.
func TestBrokerComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c, p := v.serving(t, 3)
		v.set(c.ListenAddrs()[0], refuses)
		call := begin(t.Context(), p, keyed("waits", keyIn(0, 3, 0)))
		pass(30 * time.Second)
		v.set(c.ListenAddrs()[0], normal)
		start := time.Now()
		if _, err := call.wait(t); err != nil || time.Since(start) > 2*time.Second {
			t.Errorf("stored %v after the broker was back: %v", time.Since(start), err)
		}
	})
}

// TestSilentBrokers starts with one silent broker, or with only one that answers. Silent brokers accept connections
// but do not answer.
func TestSilentBrokers(t *testing.T) {
	t.Parallel()
	for _, silents := range []int{1, 2, 5} {
		t.Run(strconv.Itoa(silents), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				var brokers []string
				for i := range silents {
					address := fmt.Sprint("127.0.0.1:", 8001+i)
					v.set(address, mute)
					brokers = append(brokers, address)
				}
				p := v.producer(t, append(brokers, v.broker(t).ListenAddrs()...))
				if _, took := store(t, p, "first", patience); took > time.Duration(silents)*300*time.Millisecond {
					t.Errorf("the first record took %v", took)
				}
			})
		})
	}
}

// TestStaleCodes has a leader answer a code that means another broker may lead now, such as after a disk has failed: the
// producer looks for the next leader at once.
func TestStaleCodes(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int16{"KAFKA_STORAGE_ERROR": 56, "REPLICA_NOT_AVAILABLE": 9} { // perhaps stored, and not
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				c, p := v.serving(t, 1)
				c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					if c.CurrentNode() != 0 {
						return nil, nil, false
					}
					if err := c.MoveTopicPartition(topic, 0, 1); err != nil {
						t.Error(err)
					}
					return answerOf(r, code, 0), nil, true
				})
				if _, took := store(t, p, "x", patience); took > time.Second {
					t.Errorf("the new leader was found after %v", took)
				}
			})
		})
	}
}

// TestFrozenLeader freezes a leader, and another becomes leader while an attempt waits: only that attempt is lost.
func TestFrozenLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c, p := v.serving(t, 1)
		v.set(c.ListenAddrs()[0], mute)
		go func() {
			pass(time.Second)
			if err := c.MoveTopicPartition(topic, 0, 1); err != nil {
				t.Error(err)
			}
		}()
		if _, took := store(t, p, "x", patience); took > 3500*time.Millisecond {
			t.Errorf("the record took %v, want one attempt, 3 s", took)
		}
	})
}

// TestManyPartitionsOnAFrozenBroker freezes a broker with 60 batches in flight: their partitions move to two others,
// and all are stored long before they would be given up.
func TestManyPartitionsOnAFrozenBroker(t *testing.T) {
	t.Parallel()
	const partitions = 60
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.three(t, partitions)
		for i := range int32(partitions) {
			if err := c.MoveTopicPartition(topic, i, 0); err != nil {
				t.Fatal(err)
			}
		}
		p := v.producer(t, c.ListenAddrs())
		store(t, p, "before", patience)
		pass(time.Second)
		v.set(c.ListenAddrs()[0], mute)
		start := time.Now()
		var calls []*pending
		for i := range partitions {
			calls = append(calls, begin(t.Context(), p, keyed(strconv.Itoa(i), keyIn(i, partitions, 0))))
		}
		pass(2 * time.Second)
		for i := range int32(partitions) {
			if err := c.MoveTopicPartition(topic, i, 1+i%2); err != nil {
				t.Fatal(err)
			}
		}
		for i, call := range calls {
			if <-call.done; call.err != nil {
				t.Errorf("record %d: %v", i, call.err)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("they took %v", took)
		}
	})
}

// TestAlternatingTroubles has a broker give two reasons alternately: each is logged at most once a minute, and the end
// of the outage once, with its duration.
func TestAlternatingTroubles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		var log lines
		c := v.broker(t)
		p := v.producer(t, c.ListenAddrs(), logTo(&log))
		store(t, p, "before", patience)
		n := 1
		c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			switch {
			case n == 0:
				return nil, nil, false
			case n%2 == 0:
				n++
				return answerOf(r, 19, 0), nil, true
			default:
				n++
				return answerOf(r, 44, 0), nil, true
			}
		})
		start := time.Now()
		for i := 0; time.Since(start) < 50*time.Second; i++ {
			_, _ = p.Produce(within(t, 200*time.Millisecond), record(strconv.Itoa(i)))
			pass(50 * time.Millisecond)
		}
		synctest.Wait()
		n = 0
		pass(3 * time.Second)
		store(t, p, "after", patience)
		pass(3 * time.Second)
		store(t, p, "later", patience)
		t.Log(log.String())
		if n := log.with("level=WARN"); n != 2 {
			t.Errorf("%d warnings, want one for each reason", n)
		}
		if n := log.with("Kafka accepts records again"); n != 1 || log.with("outage=4")+log.with("outage=5") != 1 { // 50 s, and up to a backoff less or more
			t.Errorf("the end of the outage is told %d times", n)
		}
		if log.with("class=") > 0 {
			t.Error("the class is not called errorClass")
		}
	})
}

// TestSlowerThanAnAttempt has a broker that needs longer for every batch than the first attempts wait: the record is
// stored once, and its caller gets the result.
func TestSlowerThanAnAttempt(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{5 * time.Second, 15 * time.Second} {
		t.Run(takes.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				c := v.broker(t)
				p := v.producer(t, c.ListenAddrs())
				c.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					c.SleepControl(func() { pass(takes) })
					return nil, nil, false
				})
				md, err := begin(t.Context(), p, record("slow")).wait(t)
				var l ledger.Ledger
				l.Note("slow", md, err)
				if err != nil {
					t.Errorf("%v, want it stored", err)
				}
				if r := compareVirtual(t, v, &l, c); r.Copies != 0 {
					t.Errorf("%d copies", r.Copies)
				}
			})
		})
	}
}
