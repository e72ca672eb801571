package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

// TestCloseStoresWhatIsUnderWay closes a producer while callers wait and the broker is about to answer.
func TestCloseStoresWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	connections := &listener{}
	c := startBroker(t, kfake.ListenFn(connections.listen))
	p := newProducer(t, c.ListenAddrs())
	var l ledger.Ledger
	l.Note("before", produce(t, p, "before"), nil)
	arrived, answer := holdAnswers(t, c)
	var calls []*pending
	for i := range 20 {
		calls = append(calls, begin(t.Context(), p, ledger.Record(strconv.Itoa(i))))
	}
	<-arrived
	wait.For(t, "all are on the books", func() bool { n, _ := p.Held(); return n > 0 })
	closed := make(chan error, 1)
	go func() { closed <- p.Close(t.Context()) }()
	wait.For(t, "new records are refused", func() bool {
		md, err := p.Produce(t.Context(), ledger.Record("late"))
		l.Note("late", md, err)
		return delivery.ClassOf(err) == delivery.Unavailable
	})
	answer(nil)
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	for i, call := range calls {
		md, err := call.wait(t)
		l.Note(strconv.Itoa(i), md, err)
	}
	compare(t, &l, c)
	wantNoConnection(t, connections)
}

// wantNoConnection checks that the broker sees the producer's connections closed.
func wantNoConnection(t *testing.T, l *listener) {
	t.Helper()
	wait.For(t, "no connection is open", func() bool { _, open := l.count(); return open == 0 })
	if accepted, _ := l.count(); accepted == 0 {
		t.Error("there never was a connection")
	}
}

// TestCloseWithoutAnswer closes producers whose broker does not answer any more, is gone, or was never there.
func TestCloseWithoutAnswer(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*virtual, *kfake.Cluster){ // after a record was stored; nil: there never was a broker
		"never there": nil,
		"gone":        func(_ *virtual, c *kfake.Cluster) { c.Close() },
		"black hole":  func(v *virtual, c *kfake.Cluster) { v.set(c.ListenAddrs()[0], mute) },
		"refuses":     func(_ *virtual, c *kfake.Cluster) { c.Fault(faultOf(19, -1)) },
		"not sure":    func(_ *virtual, c *kfake.Cluster) { c.Fault(faultOf(20, -1)) },
		"no metadata": func(_ *virtual, c *kfake.Cluster) {
			c.ControlKey(kmsg.Metadata.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				return nil, nil, true
			})
			c.Fault(faultOf(6, -1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				const address = "127.0.0.1:9001"
				p := kafka.New(kafka.Config{Brokers: []string{address}, Topic: topic, Dial: v.dial})
				if spoil == nil {
					v.set(address, refuses)
				} else {
					b := v.broker(t)
					store(t, p, "before", patience)
					spoil(v, b)
				}
				closeWithoutAnswer(t, p)
			})
		})
	}
}

// closeWithoutAnswer closes a producer, twice at once, while records wait.
func closeWithoutAnswer(t *testing.T, p *kafka.Producer) {
	t.Helper()
	var calls []*pending
	for i := range 100 {
		calls = append(calls, begin(t.Context(), p, ledger.Record(strconv.Itoa(i))))
	}
	synctest.Wait()
	if n, _ := p.Held(); n != len(calls) {
		t.Errorf("%d records wait, want %d", n, len(calls))
	}
	start := time.Now()
	ctx := within(t, 300*time.Millisecond)
	var closers sync.WaitGroup
	for range 2 {
		closers.Go(func() {
			if err := p.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("close: %v", err)
			}
		})
	}
	closers.Wait()
	for _, call := range calls {
		_, err := call.wait(t)
		if class := delivery.ClassOf(err); class != delivery.Unavailable && class != delivery.UnknownOutcome {
			t.Errorf("a caller was told %v", err)
		}
	}
	if took := time.Since(start); took > 300*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if n, size := p.Held(); n != 0 || size != 0 {
		t.Errorf("%d records of %d bytes are left", n, size)
	}
}

// TestAfterClose uses a closed producer.
func TestAfterClose(t *testing.T) {
	t.Parallel()
	connections := &listener{}
	c := startBroker(t, kfake.ListenFn(connections.listen))
	p := newProducer(t, c.ListenAddrs())
	produce(t, p, "before")
	closeNow(t, p)
	accepted, _ := connections.count()
	_, err := p.Produce(t.Context(), ledger.Record("x"))
	wantClass(t, err, delivery.Unavailable)
	wantClass(t, p.Check(t.Context()), delivery.Unavailable)
	closeNow(t, p)
	wantNoConnection(t, connections)
	if n, _ := connections.count(); n != accepted {
		t.Errorf("%d connections were made after the end", n-accepted)
	}
}

// TestCloseWhileConnecting closes producers during their first connection, to a broker that does not answer.
func TestCloseWhileConnecting(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for range 20 {
		p := kafka.New(kafka.Config{Brokers: []string{l.Addr().String()}, Topic: topic})
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		closeNow(t, p)
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 100); err == nil; {
			_, err = conn.Read(buf) // what it has sent, and the end
		}
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			t.Fatal("the connection stays open")
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCloseAnyTime closes producers at random times, under load and while leaders move.
func TestCloseAnyTime(t *testing.T) {
	t.Parallel()
	connections := &listener{}
	c := startBroker(t, append(threeBrokers(), kfake.ListenFn(connections.listen))...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mover sync.WaitGroup
	mover.Go(func() {
		for tick := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-tick.C {
			c.ShufflePartitionLeaders()
		}
	})
	var l ledger.Ledger
	for i := range 30 {
		p := kafka.New(kafka.Config{Brokers: c.ListenAddrs(), Topic: topic})
		var callers sync.WaitGroup
		callers.Go(func() {
			l.Run(t.Context(), p, ledger.Load{Callers: 20, Each: 5, Timeout: patience, Name: fmt.Sprint(i, "-")})
		})
		limit, stop := context.WithTimeout(t.Context(), time.Duration(rand.IntN(50))*time.Millisecond)
		if i%2 == 0 {
			<-limit.Done()
		}
		if err := p.Close(limit); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		stop()
		callers.Wait()
	}
	cancel()
	mover.Wait()
	compare(t, &l, c)
	wantNoConnection(t, connections)
}
