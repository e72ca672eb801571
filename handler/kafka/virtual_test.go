package kafka_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/test/kafka/ledger"
)

// virtual is a test in virtual time with a network in memory, whose connections it breaks by address. It can wait for
// hours and measure milliseconds exactly, however busy the machine is.
type virtual struct {
	*testing.T
	network kfake.VirtualNetwork
	ledger  *ledger.Ledger // results of all calls
	after   int            // calls of storeAfter
	delay   atomic.Int64   // before the first byte of each answer, in ns
	dials   atomic.Int32   // how many connections were opened

	mu    sync.Mutex
	modes map[string]mode
	open  []*virtualConn
}

// mode is how an address behaves.
type mode int

const (
	normal  mode = iota
	refuses      // there is nobody
	mute         // it takes connections, after a moment and even if they are not wanted any more, and nothing comes back
)

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(v *virtual)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { pass(time.Minute) }) // what is on its way ends: time stands still when this function returns
		f(&virtual{T: t, ledger: new(ledger.Ledger), modes: map[string]mode{}})
	})
}

// virtually runs a subtest in virtual time.
func virtually(t *testing.T, name string, f func(v *virtual)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		bubble(t, f)
	})
}

// pass waits, in virtual time.
func pass(d time.Duration) { <-time.After(d) }

func (v *virtual) dial(ctx context.Context, network, address string) (net.Conn, error) {
	v.dials.Add(1)
	v.mu.Lock()
	m := v.modes[address]
	v.mu.Unlock()
	c := &virtualConn{v: v, address: address, buffer: make(chan []byte, 100), closed: make(chan struct{})}
	switch m {
	case refuses:
		return nil, syscall.ECONNREFUSED
	case mute:
		c.silent.Store(true)
		c.Conn, _ = net.Pipe()
		pass(60 * time.Millisecond)
	case normal:
		conn, err := v.network.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.Conn = conn
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open = append(v.open, c)
	c.sends.Go(c.send)
	return c, nil
}

// slow delays all answers from now on.
func (v *virtual) slow(delay time.Duration) { v.delay.Store(int64(delay)) }

// set changes how an address behaves, also for open connections.
func (v *virtual) set(address string, m mode) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.modes[address] = m
	for _, c := range v.open {
		switch {
		case c.address != address:
		case m == refuses:
			_ = c.Conn.Close()
		case m == mute:
			c.silent.Store(true)
		}
	}
}

// cut closes the connections to an address. New ones still work.
func (v *virtual) cut(address string) {
	v.set(address, refuses)
	v.set(address, normal)
}

// forget makes the open connections to addresses dead silently, as a NAT does that drops them.
func (v *virtual) forget(addresses []string) {
	for _, a := range addresses {
		v.set(a, mute)
		v.set(a, normal)
	}
}

// virtualConn is a producer's side of a connection. As with TCP, a writer does not wait for the reader. A bubble does
// not end before it is closed.
type virtualConn struct {
	net.Conn
	v       *virtual
	address string
	silent  atomic.Bool // what is written goes nowhere
	asked   atomic.Bool // something was written since the last read
	buffer  chan []byte
	sends   sync.WaitGroup
	once    sync.Once
	closed  chan struct{}
}

func (c *virtualConn) Write(b []byte) (int, error) {
	c.asked.Store(true)
	if c.silent.Load() {
		return len(b), nil
	}
	select {
	case c.buffer <- bytes.Clone(b):
		return len(b), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

// send writes what is in the buffer until the connection is closed.
func (c *virtualConn) send() {
	for {
		select {
		case b := <-c.buffer:
			if _, err := c.Conn.Write(b); err != nil {
				return
			}
		case <-c.closed:
			return
		}
	}
}

// SetDeadline is for reads: writes do not wait.
func (c *virtualConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

func (c *virtualConn) Read(b []byte) (int, error) {
	if delay := c.v.delay.Load(); c.asked.Swap(false) && delay > 0 {
		pass(time.Duration(delay))
	}
	return c.Conn.Read(b)
}

func (c *virtualConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	defer c.sends.Wait()
	return c.Conn.Close()
}
