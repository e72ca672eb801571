package faultproxy_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

// TestDelaysAnswersSideBySide has many requests in flight on one connection. With sequential delays they would take
// longer than the test waits.
func TestDelaysAnswersSideBySide(t *testing.T) {
	const requests, delay = 1000, wait.Patience / 500
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	set(t, p, faultproxy.Faults{Delay: delay})
	c := dial(t, p)
	start := time.Now()
	for id := range int32(requests) {
		c.send(faultproxy.Produce, id)
	}
	for want := range int32(requests) {
		got, _, err := c.receive()
		if err != nil || got != want {
			t.Fatalf("got the answer to %d and error %v, want that to %d", got, err, want)
		}
		if took := time.Since(start); took < delay {
			t.Fatalf("answer %d came after %v, want %v at least", got, took, delay)
		}
	}
}

func TestDelayDoesNotHoldOtherConnections(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	slow, fast := dial(t, p), dial(t, p)
	set(t, p, faultproxy.Faults{Delay: time.Hour})
	slow.send(faultproxy.Produce, 1)
	wait.For(t, "the target answers", func() bool { return len(tg.requests()) == 1 })
	set(t, p, faultproxy.Faults{})
	fast.ask(faultproxy.Produce, 2)
}

func TestDrip(t *testing.T) {
	const every, body = 5 * time.Millisecond, "some twenty bytes...."
	tg := newTarget(t, body)
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	set(t, p, faultproxy.Faults{DripEvery: every})
	c := dial(t, p)
	start := time.Now()
	c.send(faultproxy.Produce, 1)
	if id, got, err := c.receive(); err != nil || id != 1 || got != body {
		t.Fatalf("got answer %d, %q, %v", id, got, err)
	}
	if took, want := time.Since(start), (8+time.Duration(len(body)))*every; took < want {
		t.Errorf("the answer took %v, want %v at least", took, want)
	}
}

func TestBlackHoleAndBack(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	before := dial(t, p)
	before.ask(faultproxy.Produce, 1)
	set(t, p, faultproxy.Faults{BlackHole: true})
	during := dial(t, p) // is accepted
	before.send(faultproxy.Produce, 2)
	during.send(faultproxy.Produce, 3)
	wait.For(t, "a request lies in the proxy", func() bool { return p.Stats().Requests[faultproxy.Produce] == 2 })
	if n := len(tg.requests()); n != 1 {
		t.Errorf("the target heard %d requests, want 1", n)
	}
	set(t, p, faultproxy.Faults{})
	for _, tt := range []struct {
		c  *client
		id int32
	}{{before, 2}, {during, 3}} {
		if got, _, err := tt.c.receive(); err != nil || got != tt.id {
			t.Errorf("after the black hole: got the answer to %d and error %v, want that to %d", got, err, tt.id)
		}
	}
}

func TestRefuseAndBack(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	open := dial(t, p)
	open.ask(faultproxy.Produce, 1)
	addr := p.Addr()
	set(t, p, faultproxy.Faults{Refuse: true})
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: got %v, %v, want connection refused", conn, err)
	}
	open.ask(faultproxy.Produce, 2) // goes on
	set(t, p, faultproxy.Faults{})
	if p.Addr() != addr {
		t.Errorf("the address changed from %s to %s", addr, p.Addr())
	}
	dial(t, p).ask(faultproxy.Produce, 3)
}

func TestTargetThatDoesNotListen(t *testing.T) {
	tg := newTarget(t, "")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: "127.0.0.1:1"})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", p.Addr())
	if err == nil { // the reset may even be faster than the dialer
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got error %v, want a reset", err)
	}
	p.SetTarget(tg.addr)
	dial(t, p).ask(faultproxy.Produce, 1)
}

func TestCloseIdleSparesTheBusy(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	idle, busy := dial(t, p), dial(t, p)
	idle.ask(faultproxy.Produce, 1)
	busy.ask(faultproxy.Produce, 2)
	set(t, p, faultproxy.Faults{BlackHole: true})
	busy.send(faultproxy.Produce, 3)
	wait.For(t, "the request lies in the proxy", func() bool { return p.Stats().Requests[faultproxy.Produce] == 3 })
	wait.For(t, "one connection is idle", func() bool { return p.CloseIdle() == 1 })
	idle.wantEnd()
	set(t, p, faultproxy.Faults{})
	if id, _, err := busy.receive(); err != nil || id != 3 {
		t.Errorf("busy connection: got the answer to %d and error %v, want that to 3", id, err)
	}
	wait.For(t, "the answer is delivered", func() bool { return p.CloseIdle() == 1 })
	busy.wantEnd()
}

func TestCutAll(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	set(t, p, faultproxy.Faults{Delay: time.Hour, Reset: true})
	a, b := dial(t, p), dial(t, p)
	a.send(faultproxy.Produce, 1)
	b.send(faultproxy.Produce, 2)
	wait.For(t, "the target hears both", func() bool { return len(tg.requests()) == 2 })
	if n := p.CutAll(); n != 2 {
		t.Errorf("cut %d connections, want 2", n)
	}
	for _, c := range []*client{a, b} {
		if _, _, err := c.receive(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got error %v, want a reset", err)
		}
	}
}

func TestNotKafka(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	c := dial(t, p)
	if _, err := io.WriteString(c.conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c.wantEnd()
	if st := p.Stats(); st.Malformed != 1 || len(tg.requests()) != 0 {
		t.Errorf("got %+v and %d requests at the target, want one malformed and none", st, len(tg.requests()))
	}
}

// TestLargeAnswers checks that answers of several pieces pass unchanged.
func TestLargeAnswers(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 20_000)
	tg := newTarget(t, body)
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	c := dial(t, p)
	for id := range int32(3) {
		c.send(faultproxy.Produce, id)
	}
	for want := range int32(3) {
		if id, got, err := c.receive(); err != nil || id != want || got != body {
			t.Fatalf("answer %d: id %d, %d bytes, error %v; want %d bytes", want, id, len(got), err, len(body))
		}
	}
	wait.For(t, "nothing waits", func() bool { return p.CloseIdle() == 1 })
}

func TestCloseEndsEverything(t *testing.T) {
	tg := newTarget(t, "world")
	for name, f := range map[string]faultproxy.Faults{
		"forwarding": {},
		"delaying":   {Delay: time.Hour},
		"dripping":   {DripEvery: time.Hour},
		"black hole": {BlackHole: true},
		"refusing":   {Refuse: true},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := faultproxy.Listen(faultproxy.Options{Target: tg.addr})
			if err != nil {
				t.Fatal(err)
			}
			c := dial(t, p)
			c.ask(faultproxy.Metadata, 0) // by then the proxy is connected to the target, as a black hole is not
			set(t, p, f)
			c.send(faultproxy.Produce, 1)
			wait.For(t, "the request comes", func() bool { return p.Stats().Requests[faultproxy.Produce] == 1 })
			closed := make(chan error, 1)
			go func() { closed <- errors.Join(p.Close(), p.Close()) }()
			if err := wait.Receive(t, "the end of Close", closed); err != nil {
				t.Error(err)
			}
			if err := p.SetFaults(faultproxy.Faults{}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: got %v, want net.ErrClosed", err)
			}
		})
	}
}
