package faultproxy_test

import (
	"encoding/binary"
	"errors"
	"maps"
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

const metadata int16 = 3 // a kind of request

// request and answer have the framing of Kafka's. Size counts what follows it.
type (
	request struct {
		Size         int32
		Key, Version int16
		ID           int32
		Body         [5]byte
	}
	answer struct {
		Size, ID int32
		Body     [5]byte
	}
)

// target answers every request with its correlation id, and records the requests.
type target struct {
	addr string

	mu    sync.Mutex
	heard []int32
}

func newTarget(t *testing.T) *target {
	t.Helper()
	l := must.Get[net.Listener](t)((&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0"))
	tg := &target{addr: l.Addr().String()}
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
	return tg
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
		if err := binary.Write(conn, binary.BigEndian, answer{9, r.ID, r.Body}); err != nil {
			return
		}
	}
}

func (tg *target) requests() []int32 {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return slices.Clone(tg.heard)
}

// start starts a target behind a proxy.
func start(t *testing.T) (*target, *faultproxy.Proxy) {
	t.Helper()
	tg, p := newTarget(t), faultproxy.ForTest(t)
	p.SetTarget(tg.addr)
	return tg, p
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
	if err := binary.Write(c, binary.BigEndian, request{13, key, 0, id, [5]byte([]byte("hello"))}); err != nil {
		c.t.Fatalf("send request %d: %v", id, err)
	}
}

// wants fails unless the answer to the request comes.
func (c *client) wants(id int32) {
	c.t.Helper()
	var got answer
	if err := binary.Read(c, binary.BigEndian, &got); err != nil || got.ID != id || string(got.Body[:]) != "hello" {
		c.t.Fatalf("answer to request %d: got %+v and error %v", id, got, err)
	}
}

func (c *client) ask(key int16, id int32) {
	c.t.Helper()
	c.send(key, id)
	c.wants(id)
}

// wantsEnd fails unless the connection ends without another answer. It returns the error.
func (c *client) wantsEnd() error {
	c.t.Helper()
	n, err := c.Read(make([]byte, 1))
	if nerr := net.Error(nil); err == nil || errors.As(err, &nerr) && nerr.Timeout() {
		c.t.Fatalf("got %d bytes and error %v, want the end of the connection", n, err)
	}
	return err
}

func set(t *testing.T, p *faultproxy.Proxy, f faultproxy.Faults) {
	t.Helper()
	if err := p.SetFaults(f); err != nil {
		t.Fatal(err)
	}
}

// rule makes the n-th request for Produce meet the action.
func rule(n int, do faultproxy.Action) faultproxy.Faults {
	return faultproxy.Faults{Rules: []faultproxy.Rule{{Nth: n, Do: []faultproxy.Action{do}}}}
}

func TestCuts(t *testing.T) {
	for do, heard := range map[faultproxy.Action]bool{
		faultproxy.CutBefore: false, faultproxy.CutAfter: true, faultproxy.CutOnAnswer: true,
	} {
		t.Run(string(do), func(t *testing.T) {
			tg, p := start(t)
			set(t, p, rule(2, do))
			c := dial(t, p)
			c.ask(faultproxy.Produce, 1)
			c.ask(metadata, 2) // of another kind, not counted by the rule
			c.send(faultproxy.Produce, 3)
			_ = c.wantsEnd()
			if heard {
				wait.For(t, "the target hears request 3", func() bool { return slices.Contains(tg.requests(), 3) })
			}
			dial(t, p).ask(faultproxy.Produce, 4) // the rule is used up
			if !heard && slices.Contains(tg.requests(), 3) {
				t.Error("the target heard a request that was to be cut before")
			}
			wait.For(t, "the connection is gone", func() bool { return p.Stats().Open == 1 })
			st, want := p.Stats(), map[int16]int{metadata: 1, faultproxy.Produce: 3}
			if st.Actions[do] != 1 || st.Cuts() != 1 || st.Connections != 2 || !maps.Equal(st.Requests, want) {
				t.Errorf("got %+v", st)
			}
		})
	}
}

func TestSilence(t *testing.T) {
	tg, p := start(t)
	set(t, p, rule(1, faultproxy.Silence))
	c, other := dial(t, p), dial(t, p)
	c.ask(metadata, 1)
	c.send(faultproxy.Produce, 2)
	c.send(metadata, 3)
	wait.For(t, "the connection falls silent", func() bool { return p.Stats().Actions[faultproxy.Silence] == 1 })
	set(t, p, faultproxy.Faults{}) // does not wake it
	other.ask(metadata, 4)
	if got, st := tg.requests(), p.Stats(); !slices.Equal(got, []int32{1, 4}) || st.Open != 2 {
		t.Errorf("the target heard %v, want 1 and 4; %+v", got, st)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the client's end ends it", func() bool { return p.Stats().Open == 1 })
}

func TestResets(t *testing.T) {
	for _, reset := range []bool{false, true} {
		_, p := start(t)
		f := rule(1, faultproxy.CutOnAnswer)
		f.Reset = reset
		set(t, p, f)
		cut, open := dial(t, p), dial(t, p)
		open.ask(metadata, 1)
		cut.send(faultproxy.Produce, 2)
		if err := cut.wantsEnd(); errors.Is(err, syscall.ECONNRESET) != reset {
			t.Errorf("by a rule, reset %t: got error %v", reset, err)
		}
		wait.For(t, "one connection is open", func() bool { return p.Stats().Open == 1 })
		if n := p.CutAll(); n != 1 {
			t.Errorf("cut %d connections, want 1", n)
		}
		if err := open.wantsEnd(); errors.Is(err, syscall.ECONNRESET) != reset {
			t.Errorf("reset %t: got error %v", reset, err)
		}
	}
}

func TestLateAnswers(t *testing.T) {
	const delay = 50 * time.Millisecond
	_, p := start(t)
	c, other := dial(t, p), dial(t, p)
	set(t, p, faultproxy.Faults{Delay: delay})
	begin := time.Now()
	c.ask(faultproxy.Produce, 1)
	if took := time.Since(begin); took < delay {
		t.Errorf("the answer took %v", took)
	}
	set(t, p, faultproxy.Faults{Delay: time.Hour}) // until the end of the test
	c.send(faultproxy.Produce, 2)
	wait.For(t, "the request comes", func() bool { return p.Stats().Requests[faultproxy.Produce] == 2 })
	set(t, p, faultproxy.Faults{})
	other.ask(faultproxy.Produce, 3)
}

func TestBlackHoleAndBack(t *testing.T) {
	tg, p := start(t)
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
	before.wants(2)
	during.wants(3)
	set(t, p, faultproxy.Faults{BlackHole: true})
	before.send(faultproxy.Produce, 4)
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	if err := p.SetFaults(faultproxy.Faults{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: got %v, want net.ErrClosed", err)
	}
}
