package kafka_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
)

func hostPort(t *testing.T, address string) (string, int32) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return host, int32(port)
}

// listener counts a broker's open connections, and can cut them.
type listener struct {
	mu       sync.Mutex
	accepted int
	open     map[net.Conn]struct{}
	gate     chan struct{} // nil: open
	held     int           // answers that wait at the gate
}

func (l *listener) listen(network, address string) (net.Listener, error) {
	inner, err := (&net.ListenConfig{}).Listen(context.Background(), network, address)
	return &countingListener{inner, l}, err
}

func (l *listener) count() (accepted, open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted, len(l.open)
}

// hold delays all answers until release is called. waiting returns how many are delayed.
func (l *listener) hold() (waiting func() int, release func()) {
	gate := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate, l.held = gate, 0
	waiting = func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.held
	}
	return waiting, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.gate = nil
		close(gate)
	}
}

// cut closes all connections, by a reset or not, and returns how many there were.
func (l *listener) cut(t *testing.T, reset bool) int {
	t.Helper()
	l.mu.Lock()
	open := slices.Collect(maps.Keys(l.open))
	l.mu.Unlock()
	for _, c := range open {
		counted, ok := c.(*countedConn)
		if !ok {
			t.Fatal("not one of ours")
		}
		if tcp, ok := counted.Conn.(*net.TCPConn); reset && ok {
			if err := tcp.SetLinger(0); err != nil && !errors.Is(err, net.ErrClosed) { // the broker may be faster
				t.Error(err)
			}
		}
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
	return len(open)
}

type countingListener struct {
	net.Listener
	l *listener
}

func (c *countingListener) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{conn, c.l}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.l.open == nil {
		c.l.open = map[net.Conn]struct{}{}
	}
	c.l.accepted++
	c.l.open[counted] = struct{}{}
	return counted, nil
}

type countedConn struct {
	net.Conn
	l *listener
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.l.mu.Lock()
	gate := c.l.gate
	if gate != nil {
		c.l.held++
	}
	c.l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return c.Conn.Write(b)
}

func (c *countedConn) Close() error {
	c.l.mu.Lock()
	delete(c.l.open, c)
	c.l.mu.Unlock()
	return c.Conn.Close()
}
