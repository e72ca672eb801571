package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/local/realkafka"
	"userrelay/test/kafka/ledger"
)

// These tests run in virtual time, over a network in memory. They can wait for hours and measure milliseconds exactly,
// however busy the machine is.

// virtual is a network in memory. Tests break connections by address.
type virtual struct {
	network kfake.VirtualNetwork
	delay   time.Duration // before the first byte of each answer

	mu    sync.Mutex
	modes map[string]mode
	dials map[string]int
	open  []*virtualConn
}

// mode is how an address behaves.
type mode int

const (
	normal  mode = iota
	refuses      // there is nobody
	mute         // it takes connections and bytes, and nothing comes back
)

// newVirtual returns a network for a test in its own bubble.
func newVirtual(t *testing.T) *virtual {
	t.Helper()
	t.Cleanup(func() { pass(time.Minute) }) // what is on its way ends: time stands still when the bubble's function returns
	return &virtual{modes: map[string]mode{}, dials: map[string]int{}}
}

// pass waits, in virtual time.
func pass(d time.Duration) { <-time.After(d) }

// broker starts a cluster on the network, which ends with the test.
func (v *virtual) broker(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	return startBroker(t, append([]kfake.Opt{kfake.Ports(9001), kfake.ListenFn(v.network.Listen)}, opts...)...)
}

// producer makes a producer on the network.
func (v *virtual) producer(t *testing.T, brokers []string, edit ...func(*kafka.Config)) *kafka.Producer {
	t.Helper()
	return newProducer(t, brokers, append([]func(*kafka.Config){func(c *kafka.Config) { c.Dial = v.dial }}, edit...)...)
}

func (v *virtual) dial(ctx context.Context, network, address string) (net.Conn, error) {
	v.mu.Lock()
	m := v.modes[address]
	v.dials[address]++
	v.mu.Unlock()
	c := &virtualConn{v: v, address: address, silent: m == mute, buffer: make(chan []byte, 100), closed: make(chan struct{})}
	switch m {
	case refuses:
		return nil, syscall.ECONNREFUSED
	case mute:
		c.Conn, c.other = net.Pipe()
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

// set changes how an address behaves, also for open connections.
func (v *virtual) set(address string, m mode) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.modes[address] = m
	for _, c := range v.open {
		if c.address != address {
			continue
		}
		switch m {
		case refuses:
			_ = c.Conn.Close()
		case mute:
			c.mute()
		case normal:
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
	n := 0
	for _, k := range v.dials {
		n += k
	}
	return n
}

// virtualConn is a producer's side of a connection. As with TCP, a writer does not wait for the reader.
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
	if asked && c.v.delay > 0 {
		pass(c.v.delay)
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

// store stores a record within a time, and returns how long it took.
func store(t *testing.T, p *kafka.Producer, id string, limit time.Duration) (delivery.RecordMetadata, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	start := time.Now()
	md, err := p.Produce(ctx, ledger.Record(id))
	if err != nil {
		t.Errorf("record %s after %v: %v (%v)", id, time.Since(start), err, errors.Unwrap(err))
	}
	return md, time.Since(start)
}

// compareVirtual compares the log of a topic of one partition with the answers to callers.
func compareVirtual(t *testing.T, v *virtual, l *ledger.Ledger, c *kfake.Cluster) ledger.Report {
	t.Helper()
	log, err := realkafka.Read(t.Context(), c.ListenAddrs(), topic, kgo.Dialer(v.network.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	report, err := l.Compare(log)
	if err != nil {
		t.Error(err)
	}
	t.Log(report)
	return report
}
