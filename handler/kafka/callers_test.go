package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
)

// TestContextEndsInQueue has callers give up before they call, and while their records wait for the next attempt. None
// of these records is stored later.
func TestContextEndsInQueue(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.broker()
		p := v.producer(c)
		v.store(p, record("before"))
		ctx, cancel := context.WithCancel(v.Context())
		fault := c.Fault(faultOf(19, -1)) // NOT_ENOUGH_REPLICAS
		calls := v.beginMany(ctx, p, 50)
		pass(time.Second)
		if fault.Hits() < 2 {
			v.Errorf("%d refusals", fault.Hits())
		}
		cancel()
		v.wantEach(calls, delivery.Unavailable)
		wantEmpty(v, p)
		fault.Remove()
		v.wantEach(v.beginMany(ctx, p, 100), delivery.Unavailable)
		v.storeAfter(p)
		v.compare(c)
	})
}

// TestContextEndsOnTheWire has a caller give up while the broker has its record, ask for the outcome too early, and
// then again.
func TestContextEndsOnTheWire(t *testing.T) {
	t.Parallel()
	for code, class := range map[int16]delivery.Class{0: stored, 19: delivery.Unavailable} {
		virtually(t, fmt.Sprint("answer ", code), func(v *virtual) {
			c := v.broker()
			p := v.producer(c)
			v.store(p, record("before"))
			v.slow(time.Second)
			if code != 0 {
				c.Fault(faultOf(code, 1))
			}
			_, err := v.try(v.within(100*time.Millisecond), p, record("x"))
			wantClass(v, err, delivery.UnknownOutcome)
			late := delivery.LateOf(err)
			_, err = late(v.within(100 * time.Millisecond))
			wantClass(v, err, delivery.UnknownOutcome)
			md, err := late(v.Context())
			wantClass(v, err, class)
			if class == stored && (md.Topic != topic || md.Offset != 1) {
				v.Errorf("late: %+v", md)
			}
			wantEmpty(v, p)
			v.slow(0)
			v.storeAfter(p)
			if r := v.compare(c); (r.UnknownStored == 1) != (class == stored) {
				v.Errorf("%+v", r)
			}
		})
	}
}

// TestBounds fills a producer that reaches no broker.
func TestBounds(t *testing.T) {
	t.Parallel()
	for size, fits := range map[int]int{0: 10_000, 1_000_000: (32 << 20) / (1_000_000 + 500)} {
		virtually(t, fmt.Sprint("values of ", size), func(v *virtual) {
			v.set("localhost:9001", refuses)
			p := v.producerOf([]string{"localhost:9001"})
			r := record("x")
			r.Value = make([]byte, size)
			for range 2 { // then there is room again
				ctx, cancel := context.WithCancel(v.Context())
				var calls sync.WaitGroup
				for range fits {
					calls.Go(func() {
						_, err := p.Produce(ctx, r)
						wantClass(v, err, delivery.Unavailable)
					})
				}
				synctest.Wait()
				if n, _ := p.Held(); n != fits {
					v.Errorf("%d records wait, want %d", n, fits)
				}
				_, err := p.Produce(v.Context(), r) // at once: its context does not end
				wantClass(v, err, delivery.Unavailable)
				cancel()
				calls.Wait()
				wantEmpty(v, p)
			}
		})
	}
}

// TestTooLargeAmongSmall has a broker refuse batches because of their size, and one record for its own: all others are
// stored.
func TestTooLargeAmongSmall(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.broker(kfake.BrokerConfigs(map[string]string{"message.max.bytes": "5000"}))
		p := v.producer(c)
		v.store(p, record("before"))
		v.slow(100 * time.Millisecond) // so that they gather
		small := v.beginMany(v.Context(), p, 100)
		large := record("large")
		large.Value = make([]byte, 6000)
		wantClass(v, <-v.begin(v.Context(), p, large), delivery.TooLarge)
		v.wantEach(small, stored)
		v.compare(c)
	})
}

// TestOrder sends records with the same key one after the other while other callers send as well, and connections are
// cut: in the log they have the same order.
func TestOrder(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.three(8)
		draw := rand.New(rand.NewPCG(1, 2))
		control(c, kmsg.Produce, func(kmsg.Request) (kmsg.Response, error, bool) { return nil, io.EOF, draw.IntN(100) == 0 })
		p := v.producer(c)
		var callers sync.WaitGroup
		for i := range 16 {
			callers.Go(func() {
				last := delivery.RecordMetadata{Offset: -1}
				for j := range 100 {
					md, _ := v.store(p, keyed(fmt.Sprint(i, "-", j), fmt.Sprint("user-", i)))
					if md.Topic != topic || md.Offset <= last.Offset || j > 0 && md.Partition != last.Partition {
						v.Errorf("record %d lies at %+v, the one before it at %+v", j, md, last)
					}
					if md.Timestamp.Before(last.Timestamp) || md.Timestamp.Nanosecond()%1_000_000 != 0 {
						v.Errorf("record %d is of %v, the one before it of %v", j, md.Timestamp, last.Timestamp)
					}
					last = md
				}
			})
		}
		callers.Wait()
		v.compare(c)
	})
}

// TestThrottled has a broker that throttles the client (throttle_time_ms, KIP-219).
func TestThrottled(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.broker()
		p := v.producer(c)
		v.store(p, record("before"))
		throttle := int32(5000) // of the first answer
		answer(c, kmsg.Produce, func(resp *kmsg.ProduceResponse) {
			produced(resp, 0, 0)
			resp.ThrottleMillis, throttle = throttle, 0
		})
		if md, _ := v.store(p, record("throttled")); md.Throttled != 5*time.Second {
			v.Errorf("the record's place says %v, want 5 s", md.Throttled)
		}
		_, err := p.Produce(v.within(time.Second), record("impatient"))
		wantClass(v, err, delivery.Throttled)
		if md, took := v.store(p, record("patient")); took != 4*time.Second || md.Throttled != 0 {
			v.Errorf("the next record was sent after %v, want 4 s; its place says %v", took, md.Throttled)
		}
	})
}

// TestClose closes a producer while callers wait and the broker is about to answer, and uses it afterwards.
func TestClose(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.broker()
		p := v.producer(c)
		v.store(p, record("before"))
		v.slow(time.Second)
		calls := v.beginMany(v.Context(), p, 20)
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- p.Close(v.Context()) }()
		synctest.Wait()
		_, err := v.try(v.Context(), p, record("late"))
		wantClass(v, err, delivery.Unavailable)
		wantClass(v, <-closed, stored)
		v.wantEach(calls, stored)
		before := v.dials.Load()
		_, err = v.try(v.Context(), p, record("later"))
		wantClass(v, err, delivery.Unavailable)
		wantClass(v, p.Check(v.Context()), delivery.Unavailable)
		if n := v.dials.Load() - before; n != 0 {
			v.Errorf("%d connections were made after the end", n)
		}
		v.compare(c)
	})
}

// TestCloseWithoutAnswer closes producers, twice at once, while records wait. Their broker does not answer any more, is
// gone, or never answered.
func TestCloseWithoutAnswer(t *testing.T) {
	t.Parallel()
	const address = "localhost:9001"
	for name, c := range map[string]struct {
		first mode    // not normal: there never was a broker
		spoil spoiler // after a record was stored
	}{
		"never there":    {first: refuses},
		"never spoke":    {first: mute},
		"gone":           {spoil: func(_ *virtual, c *kfake.Cluster) { c.Close() }},
		"speaks no more": {spoil: func(v *virtual, _ *kfake.Cluster) { v.set(address, mute) }},
		"refuses":        {spoil: answers(kmsg.Produce, 19)},
		"not sure":       {spoil: answers(kmsg.Produce, 20)},
		"no metadata":    {spoil: func(v *virtual, c *kfake.Cluster) { answers(kmsg.Produce, 6)(v, c); silence(c, kmsg.Metadata) }},
	} {
		virtually(t, name, func(v *virtual) {
			v.set(address, c.first)
			p := kafka.New(kafka.Config{Brokers: []string{address}, Topic: topic, Dial: v.dial})
			if c.first == normal {
				b := v.broker()
				v.store(p, record("before"))
				c.spoil(v, b)
			}
			calls := v.beginMany(v.Context(), p, 100)
			synctest.Wait()
			if n, _ := p.Held(); n != len(calls) {
				v.Errorf("%d records wait, want %d", n, len(calls))
			}
			start, limit := time.Now(), v.within(300*time.Millisecond)
			var closers sync.WaitGroup
			for range 2 {
				closers.Go(func() {
					if err := p.Close(limit); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						v.Errorf("close: %v", err)
					}
				})
			}
			closers.Wait()
			v.wantEach(calls, delivery.Unavailable, delivery.UnknownOutcome)
			if took := time.Since(start); took > 400*time.Millisecond {
				v.Errorf("it took %v", took)
			}
			wantEmpty(v, p)
		})
	}
}
