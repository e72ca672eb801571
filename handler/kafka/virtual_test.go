package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
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

	mu    sync.Mutex
	delay time.Duration // before the first byte of each answer
	modes map[string]mode
	dials int
	open  []*virtualConn
}

// mode is how an address behaves.
type mode int

const (
	normal  mode = iota
	refuses      // there is nobody
	mute         // it takes connections and bytes, and nothing comes back
	late         // likewise, and connections take a moment, even if they are not wanted any more
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
	v.mu.Lock()
	m := v.modes[address]
	v.dials++
	v.mu.Unlock()
	c := &virtualConn{v: v, address: address, silent: m == mute, buffer: make(chan []byte, 100), closed: make(chan struct{})}
	switch m {
	case refuses:
		return nil, syscall.ECONNREFUSED
	case mute, late:
		c.Conn, c.other = net.Pipe()
		if m == late {
			pass(60 * time.Millisecond)
		}
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
func (v *virtual) slow(delay time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.delay = delay
}

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
			c.mute()
		}
	}
}

// cut closes the connections to an address. New ones still work.
func (v *virtual) cut(address string) {
	v.set(address, refuses)
	v.set(address, normal)
}

// forget makes the open connections dead silently, as a NAT does that drops them.
func (v *virtual) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.open {
		c.mute()
	}
}

// connections returns how many connections were opened.
func (v *virtual) connections() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.dials
}

// virtualConn is a producer's side of a connection. As with TCP, a writer does not wait for the reader. A bubble does
// not end before it is closed.
type virtualConn struct {
	net.Conn
	other   net.Conn // nobody's
	v       *virtual
	address string
	buffer  chan []byte
	sends   sync.WaitGroup
	once    sync.Once
	closed  chan struct{}

	mu     sync.Mutex
	silent bool
	asked  bool // something was written since the last read
}

func (c *virtualConn) mute() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = true
}

func (c *virtualConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	muted := c.silent
	c.asked = true
	c.mu.Unlock()
	if muted {
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
	c.mu.Lock()
	asked := c.asked
	c.asked = false
	c.mu.Unlock()
	c.v.mu.Lock()
	delay := c.v.delay
	c.v.mu.Unlock()
	if asked && delay > 0 {
		pass(delay)
	}
	return c.Conn.Read(b)
}

func (c *virtualConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	defer c.sends.Wait()
	if c.other != nil {
		return errors.Join(c.Conn.Close(), c.other.Close())
	}
	return c.Conn.Close()
}
