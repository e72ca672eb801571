package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

func TestContextAlreadyEnded(t *testing.T) {
	t.Parallel()
	c := startBroker(t)
	p := newProducer(t, c.ListenAddrs())
	produce(t, p, "before")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		_, err := p.Produce(ctx, ledger.Record("x"))
		wantClass(t, err, delivery.Unavailable)
	}
	if n := len(readLog(t, c)); n != 1 {
		t.Errorf("%d records in the log, want the one of before", n)
	}
}

// TestContextEndsInQueue has callers give up while their records wait for a leader or for the next attempt. None of
// these records is stored later.
func TestContextEndsInQueue(t *testing.T) {
	t.Parallel()
	const callers = 50
	c := startBroker(t)
	p := newProducer(t, c.ListenAddrs())
	var l ledger.Ledger
	l.Note("before", produce(t, p, "before"), nil)
	fault := c.Fault(faultOf(19, -1)) // NOT_ENOUGH_REPLICAS
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls []*pending
	for i := range callers {
		calls = append(calls, begin(ctx, p, ledger.Record(strconv.Itoa(i))))
	}
	wait.For(t, "they wait", func() bool { return fault.Hits() > 2 && p.Waiting() == callers })
	cancel()
	for i, call := range calls {
		md, err := call.wait(t)
		wantClass(t, err, delivery.Unavailable)
		l.Note(strconv.Itoa(i), md, err)
	}
	if records, size := p.Held(); records != 0 || size != 0 {
		t.Errorf("%d records of %d bytes are still on the books", records, size)
	}
	fault.Remove()
	storeAfter(t, p, &l)
	compare(t, &l, c)
}

// holdAnswers makes the next Produce request wait in the broker until the returned function is called. Its argument
// says how to handle the request; nil carries it out.
func holdAnswers(t *testing.T, c *kfake.Cluster) (arrived <-chan struct{}, answer func(*int16)) {
	t.Helper()
	var held atomic.Bool
	came, goes := make(chan struct{}), make(chan *int16, 1)
	t.Cleanup(func() { close(goes) })
	c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.DropControl()
		if held.Swap(true) { // other requests come by while it waits
			return nil, nil, false
		}
		close(came)
		var code *int16
		c.SleepControl(func() { code = <-goes })
		if code == nil {
			return nil, nil, false
		}
		return answerOf(r, *code, 0), nil, true
	})
	return came, func(code *int16) { goes <- code }
}

// TestContextEndsOnTheWire has a caller give up while the broker has its record, and ask for the outcome later.
func TestContextEndsOnTheWire(t *testing.T) {
	t.Parallel()
	refused := int16(19) // NOT_ENOUGH_REPLICAS
	for name, c := range map[string]struct {
		code   *int16 // what the broker answers after the caller left; nil: it stores the record
		stored bool
	}{
		"stored later":      {nil, true},
		"refused later":     {&refused, false},
		"asked too briefly": {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBroker(t)
			p := newProducer(t, b.ListenAddrs())
			var l ledger.Ledger
			l.Note("before", produce(t, p, "before"), nil)
			arrived, answer := holdAnswers(t, b)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			call := begin(ctx, p, ledger.Record("x"))
			<-arrived
			cancel()
			md, err := call.wait(t)
			wantClass(t, err, delivery.UnknownOutcome)
			l.Note("x", md, err)
			late := delivery.LateOf(err)
			if late == nil {
				t.Fatal("nobody can learn how it ended")
			}
			if name == "asked too briefly" {
				_, err := late(ctx) // which has ended
				wantClass(t, err, delivery.UnknownOutcome)
			}
			answer(c.code)
			if name != "asked too briefly" {
				md, err := late(t.Context())
				if c.stored && (err != nil || md.Topic != topic || md.Offset != 1) {
					t.Errorf("late: %+v, %v", md, err)
				}
				if !c.stored {
					wantClass(t, err, delivery.Unavailable)
				}
			}
			wait.For(t, "the producer is done with it", func() bool { n, _ := p.Held(); return n == 0 })
			storeAfter(t, p, &l)
			if r := compare(t, &l, b); (r.UnknownStored == 1) != c.stored {
				t.Errorf("%d of the unknown records are stored, want %v", r.UnknownStored, c.stored)
			}
		})
	}
}

// TestBounds fills a producer that reaches no broker.
func TestBounds(t *testing.T) {
	t.Parallel()
	large := ledger.Record("large")
	large.Value = []byte(strings.Repeat("x", 1_000_000-large.Size()))
	for name, c := range map[string]struct {
		size int // of the value that each record gets
		fits int
	}{
		"records": {0, 10_000},
		"bytes":   {1_000_000, (32 << 20) / (1_000_000 + 500)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProducer(t, []string{"127.0.0.1:1"})
			r := ledger.Record("x")
			r.Value = make([]byte, c.size)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var calls sync.WaitGroup
			for range c.fits {
				calls.Go(func() {
					_, err := p.Produce(ctx, r)
					wantClass(t, err, delivery.Unavailable)
				})
			}
			wait.For(t, "they wait", func() bool { return p.Waiting() == c.fits })
			_, err := p.Produce(t.Context(), r) // at once: its context does not end
			wantClass(t, err, delivery.Unavailable)
			cancel()
			calls.Wait()
			if records, size := p.Held(); records != 0 || size != 0 {
				t.Errorf("%d records of %d bytes are still on the books", records, size)
			}
			ctx, cancel = context.WithCancel(t.Context())
			defer cancel()
			again := begin(ctx, p, r)
			wait.For(t, "there is room again", func() bool { return p.Waiting() == 1 })
			cancel()
			_, err = again.wait(t)
			wantClass(t, err, delivery.Unavailable)
		})
	}
}

// TestOrder sends records with the same key one after the other while other callers send as well: in the log they have
// the same order.
func TestOrder(t *testing.T) {
	t.Parallel()
	c := startBroker(t, threeBrokers()...)
	draw := rand.New(rand.NewPCG(1, 2))
	c.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if draw.IntN(100) == 0 {
			return nil, errors.New("the connection is cut"), true
		}
		return nil, nil, false
	})
	p := newProducer(t, c.ListenAddrs())
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			last := delivery.RecordMetadata{Offset: -1}
			for j := range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				md, err := p.Produce(ctx, keyed(fmt.Sprint(i, "-", j), fmt.Sprint("user-", i)))
				cancel()
				if err != nil {
					t.Error(err)
					return
				}
				if md.Topic != topic || md.Offset <= last.Offset || j > 0 && md.Partition != last.Partition {
					t.Errorf("record %d lies at %+v, the one before it at %+v", j, md, last)
				}
				if md.Timestamp.Before(last.Timestamp) || md.Timestamp.Nanosecond()%1_000_000 != 0 {
					t.Errorf("record %d is of %v, the one before it of %v", j, md.Timestamp, last.Timestamp)
				}
				last = md
			}
		})
	}
	callers.Wait()
}

// TestWhatIsStored compares a record in the log with the input and with the answer.
func TestWhatIsStored(t *testing.T) {
	t.Parallel()
	c := startBroker(t, kfake.SeedTopics(5, topic))
	p := newProducer(t, c.ListenAddrs(), func(c *kafka.Config) { c.ClientID = "a client" })
	for i := range 50 {
		produce(t, p, strconv.Itoa(i))
	}
	for _, r := range readLog(t, c) {
		id := r.Header(ledger.IDHeader)
		want := ledger.Record(id)
		if string(r.Key) != string(want.Key) || string(r.Value) != string(want.Value) || len(r.Headers) != len(want.Headers) {
			t.Errorf("record %s is %+v", id, r)
		}
		for i, h := range r.Headers {
			if h.Key != want.Headers[i].Key || string(h.Value) != want.Headers[i].Value {
				t.Errorf("record %s: header %d is %s=%s", id, i, h.Key, h.Value)
			}
		}
	}
}
