package faultproxy_test

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/test/faultproxy"
	"userrelay/test/must"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const produce, metadata int16 = 0, 3 // kinds of requests

// request and answer have the framing of Kafka's. Size counts what follows it.
type (
	request struct {
		Size         int32
		Key, Version int16
		ID           int32
	}
	answer struct{ Size, ID int32 }
)

// target answers every request with its correlation id, and records the requests.
type target struct {
	mu    sync.Mutex
	heard []int32
}

// start starts a target behind a proxy.
func start(t *testing.T) (*target, *faultproxy.Proxy) {
	t.Helper()
	l := must.Get[net.Listener](t)((&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0"))
	tg := new(target)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { tg.serve(conn) })
		}
	})
	t.Cleanup(func() { // after the proxy's: by then no connection is left
		_ = l.Close()
		serving.Wait()
	})
	p := faultproxy.ForTest(t)
	p.SetTarget(l.Addr().String())
	return tg, p
}

func (tg *target) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var r request
		if err := binary.Read(conn, binary.BigEndian, &r); err != nil {
			return
		}
		tg.mu.Lock()
		tg.heard = append(tg.heard, r.ID)
		tg.mu.Unlock()
		if err := binary.Write(conn, binary.BigEndian, answer{4, r.ID}); err != nil {
			return
		}
	}
}

func (tg *target) requests() []int32 {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return slices.Clone(tg.heard)
}

// client sends requests to a proxy.
type client struct {
	net.Conn
	t *testing.T
}

func dial(t *testing.T, p *faultproxy.Proxy) *client {
	t.Helper()
	conn := must.Get[net.Conn](t)((&net.Dialer{}).DialContext(t.Context(), "tcp4", p.Addr()))
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(wait.Patience)); err != nil {
		t.Fatal(err)
	}
	return &client{conn, t}
}

func (c *client) send(key int16, id int32) {
	c.t.Helper()
	if err := binary.Write(c, binary.BigEndian, request{8, key, 0, id}); err != nil {
		c.t.Fatalf("send request %d: %v", id, err)
	}
}

// wants fails unless the answer to the request comes.
func (c *client) wants(id int32) {
	c.t.Helper()
	var got answer
	if err := binary.Read(c, binary.BigEndian, &got); err != nil || got.ID != id {
		c.t.Fatalf("answer to request %d: got %+v and error %v", id, got, err)
	}
}

func (c *client) ask(key int16, id int32) {
	c.t.Helper()
	c.send(key, id)
	c.wants(id)
}

// wantsEnd fails unless the connection ends without another answer, with a RST or not.
func (c *client) wantsEnd(reset bool) {
	c.t.Helper()
	n, err := c.Read(make([]byte, 1))
	nerr, _ := errors.AsType[net.Error](err)
	if err == nil || nerr != nil && nerr.Timeout() || errors.Is(err, syscall.ECONNRESET) != reset {
		c.t.Fatalf("got %d bytes and error %v, want the end of the connection, reset %t", n, err, reset)
	}
}

func TestCuts(t *testing.T) {
	for do, heard := range map[faultproxy.Action]bool{
		faultproxy.CutBefore: false, faultproxy.CutAfter: true, faultproxy.CutOnAnswer: true,
	} {
		for _, reset := range []bool{false, true} {
			tg, p := start(t)
			p.Set(t, faultproxy.Faults{Share: 1, Do: []faultproxy.Action{do}, Reset: reset})
			c, open := dial(t, p), dial(t, p)
			open.ask(metadata, 1) // of a kind that passes
			c.ask(metadata, 2)
			c.send(produce, 3)
			c.wantsEnd(reset)
			if heard {
				wait.For(t, "the target hears request 3", func() bool { return slices.Contains(tg.requests(), 3) })
			}
			p.Set(t, faultproxy.Faults{})
			open.ask(produce, 4)
			if got := tg.requests(); slices.Contains(got, 3) != heard {
				t.Errorf("%s: the target heard %v", do, got)
			}
			if got, want := p.Stats(), (faultproxy.Stats{Connections: 2, Produced: 2, Cuts: 1}); got != want {
				t.Errorf("%s: got %+v, want %+v", do, got, want)
			}
			p.Set(t, faultproxy.Faults{Refuse: true, Reset: reset})
			open.wantsEnd(reset)
			if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", p.Addr()); err == nil {
				_ = conn.Close()
				t.Errorf("%s: a new connection is not refused", do)
			}
		}
	}
}

func TestSilence(t *testing.T) {
	tg, p := start(t)
	p.Set(t, faultproxy.Faults{Share: 1, Do: []faultproxy.Action{faultproxy.Silence}})
	c, other := dial(t, p), dial(t, p)
	c.ask(metadata, 1)
	c.send(produce, 2)
	c.send(metadata, 3)
	wait.For(t, "the connection falls silent", func() bool { return p.Stats().Silenced == 1 })
	p.Set(t, faultproxy.Faults{}) // does not wake it
	other.ask(produce, 4)
	if got := tg.requests(); !slices.Equal(got, []int32{1, 4}) {
		t.Errorf("the target heard %v, want 1 and 4", got)
	}
}

func TestLateAnswers(t *testing.T) {
	const delay = 50 * time.Millisecond
	_, p := start(t)
	c, other := dial(t, p), dial(t, p)
	p.Set(t, faultproxy.Faults{Delay: delay})
	begin := time.Now()
	c.ask(produce, 1)
	if took := time.Since(begin); took < delay {
		t.Errorf("the answer took %v", took)
	}
	p.Set(t, faultproxy.Faults{Delay: time.Hour}) // until the end of the test
	c.send(produce, 2)
	wait.For(t, "the request comes", func() bool { return p.Stats().Produced == 2 })
	p.Set(t, faultproxy.Faults{})
	other.ask(produce, 3)
}

func TestBlackHoleAndBack(t *testing.T) {
	tg, p := start(t)
	before := dial(t, p)
	before.ask(produce, 1)
	p.Set(t, faultproxy.Faults{BlackHole: true})
	during := dial(t, p) // is accepted
	before.send(produce, 2)
	during.send(produce, 3)
	wait.For(t, "a request lies in the proxy", func() bool { return p.Stats().Produced == 2 })
	if n := len(tg.requests()); n != 1 {
		t.Errorf("the target heard %d requests, want 1", n)
	}
	p.Set(t, faultproxy.Faults{})
	before.wants(2)
	during.wants(3)
	p.Set(t, faultproxy.Faults{BlackHole: true}) // does not hinder the end
	before.send(produce, 4)
}
