package kafka_test

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/test/recorder"
)

// TestRecovery breaks the leader of a partition of three, which broker 1 may come to lead instead. The next record is
// stored within a time after that.
func TestRecovery(t *testing.T) {
	t.Parallel()
	const attempt = 3 * time.Second
	away := func(v *virtual, c *kfake.Cluster) { v.move(c, 1, func(int32) int32 { return 1 }) }
	fails := func(code int16) spoiler {
		return func(v *virtual, c *kfake.Cluster) { answers(kmsg.Produce, code, 0)(v, c); away(v, c) }
	}
	for name, c := range map[string]struct {
		spoil       spoiler
		least, most time.Duration
	}{
		"the only known broker ends":       {func(v *virtual, c *kfake.Cluster) { v.set(c.ListenAddrs()[0], refuses); away(v, c) }, 0, time.Second},
		"its disk fails":                   {fails(56), 0, time.Second}, // KAFKA_STORAGE_ERROR: perhaps stored
		"it is no replica":                 {fails(9), 0, time.Second},  // REPLICA_NOT_AVAILABLE: not stored
		"connections are dropped silently": {func(v *virtual, c *kfake.Cluster) { pass(25 * time.Second); v.forget(c.ListenAddrs()) }, attempt, 3500 * time.Millisecond},
		"it freezes, and another leads": {func(v *virtual, c *kfake.Cluster) {
			v.set(c.ListenAddrs()[0], mute)
			time.AfterFunc(time.Second, func() { away(v, c) })
		}, attempt, 3500 * time.Millisecond},
		"it is away for half a minute": {func(v *virtual, c *kfake.Cluster) {
			v.set(c.ListenAddrs()[0], refuses)
			time.AfterFunc(30*time.Second, func() { v.set(c.ListenAddrs()[0], normal) })
		}, 30 * time.Second, 32 * time.Second},
	} {
		virtually(t, name, func(v *virtual) {
			b := v.three(3)
			p := v.producerOf(b.ListenAddrs()[:1])
			for i := range 3 {
				v.store(p, keyed(strconv.Itoa(i), keyIn(i, 3, 0)))
			}
			c.spoil(v, b)
			if _, took := v.store(p, keyed("first", keyIn(0, 3, 0))); took < c.least || took > c.most {
				v.Errorf("the first record took %v, want %v to %v", took, c.least, c.most)
			}
			for i := range 20 {
				if _, took := v.store(p, keyed(fmt.Sprint("next-", i), keyIn(0, 3, i))); took > 500*time.Millisecond {
					v.Errorf("record %d took %v", i, took)
				}
			}
		})
	}
}

// TestSilentBrokers starts with brokers before one that answers: some accept connections but do not answer, and some
// refuse connections. The next one is tried after a quarter of a second, or at once.
func TestSilentBrokers(t *testing.T) {
	t.Parallel()
	const each = 250 * time.Millisecond
	for name, c := range map[string]struct {
		before []mode
		want   time.Duration
	}{
		"none":                {nil, 0},
		"one":                 {[]mode{mute}, each},
		"silent and refusing": {[]mode{mute, refuses, mute}, 2 * each},
		"five":                {[]mode{mute, mute, mute, mute, mute}, 5 * each},
	} {
		virtually(t, name, func(v *virtual) {
			var brokers []string
			for i, m := range c.before {
				brokers = append(brokers, fmt.Sprint("localhost:", 8001+i))
				v.set(brokers[i], m)
			}
			p := v.producerOf(append(brokers, v.broker().ListenAddrs()...))
			if _, took := v.store(p, record("first")); took != c.want {
				v.Errorf("the first record took %v, want %v", took, c.want)
			}
		})
	}
}

// TestManyPartitionsOnAFrozenBroker freezes a broker with 60 batches in flight: their partitions move to two others,
// and all are stored long before they would be given up.
func TestManyPartitionsOnAFrozenBroker(t *testing.T) {
	t.Parallel()
	const partitions = 60
	bubble(t, func(v *virtual) {
		c := v.three(partitions)
		v.move(c, partitions, func(int32) int32 { return 0 })
		p := v.producer(c)
		v.store(p, record("before"))
		pass(time.Second)
		v.set(c.ListenAddrs()[0], mute)
		start := time.Now()
		var calls []<-chan error
		for i := range partitions {
			calls = append(calls, v.begin(v.Context(), p, keyed(strconv.Itoa(i), keyIn(i, partitions, 0))))
		}
		pass(2 * time.Second)
		v.move(c, partitions, func(i int32) int32 { return 1 + i%2 })
		v.wantEach(calls, stored)
		if took := time.Since(start); took > 10*time.Second {
			v.Errorf("they took %v", took)
		}
	})
}

// TestAlternatingTroubles has a broker give two reasons alternately: each is logged at most once a minute, and the end
// of the outage once, with its duration.
func TestAlternatingTroubles(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		var log recorder.Recorder
		c := v.broker()
		p := v.producer(c, logTo(&log))
		v.store(p, record("before"))
		for i := range 200 {
			fault := c.Fault(faultOf([]int16{19, 44}[i%2], -1))
			_, _ = p.Produce(v.within(200*time.Millisecond), record("x"))
			pass(50 * time.Millisecond)
			fault.Remove()
		}
		pass(3 * time.Second)
		v.store(p, record("after"))
		pass(3 * time.Second)
		v.store(p, record("later"))
		for text, want := range map[string]int{"level=WARN": 2, "Kafka accepts records again": 1, "outage=": 1, "outage=0s": 0, "class=": 0} {
			if n := told(&log, text); n != want {
				v.Errorf("%q is logged %d times, want %d", text, n, want)
			}
		}
	})
}

// TestSlowerThanAnAttempt has a broker that needs longer for every batch than the first attempts wait: the record is
// stored once, and its caller gets the result.
func TestSlowerThanAnAttempt(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{5 * time.Second, 15 * time.Second} {
		virtually(t, takes.String(), func(v *virtual) {
			c := v.broker()
			p := v.producer(c)
			control(c, kmsg.Produce, func(kmsg.Request) (kmsg.Response, error, bool) {
				c.SleepControl(func() { pass(takes) })
				return nil, nil, false
			})
			v.store(p, record("slow"))
			if r := v.compare(c); r.Copies != 0 {
				v.Errorf("%+v", r)
			}
		})
	}
}

// TestStartBeforeTheBroker starts a producer whose broker is not there yet.
func TestStartBeforeTheBroker(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		const address = "localhost:9001"
		v.set(address, refuses)
		var log recorder.Recorder
		p := v.producerOf([]string{address}, logTo(&log))
		call := v.begin(v.Context(), p, record("x"))
		pass(10 * time.Second)
		if told(&log, "refuses connections") != 1 || told(&log, "Kafka answers") != 0 {
			v.Errorf("logged: %s", log.String())
		}
		v.set(address, normal)
		v.broker()
		wantClass(v, <-call, stored)
		synctest.Wait()
		if told(&log, "Kafka answers") != 1 {
			v.Errorf("logged: %s", log.String())
		}
	})
}

// TestLeaderChangeKeepsConnections moves partitions between known brokers, and counts the connections.
func TestLeaderChangeKeepsConnections(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.three(3)
		p := v.producer(c)
		pass(time.Second) // all lanes are connected
		before := v.dials.Load()
		for n := range 10 {
			v.move(c, 3, func(i int32) int32 { return (i + int32(n)) % 3 })
			for i := range 3 {
				v.store(p, keyed(fmt.Sprint(n, "-", i), keyIn(i, 3, 0)))
			}
		}
		if n := v.dials.Load() - before; n > 10 { // now and then one, because a batch is repeated on another connection
			v.Errorf("%d connections were made in 10 changes", n)
		}
	})
}
