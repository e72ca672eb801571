package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	// All that it takes to have a connection: TCP, TLS, login.
	connectTimeout = 5 * time.Second
	dialTimeout    = 2 * time.Second // TCP only; below attemptTimeout, so that it is seen as what it is
	// Azure closes a connection that was idle for 240 s, and its load balancers may do so silently.
	idleTimeout = 180 * time.Second
	metadataTTL = 10 * time.Second // kafka-go looks at random moments of it
	// A login ends with its token, after an hour or more, and kafka-go cannot renew it on an open connection. A broker
	// that is behind a load balancer should see new connections now and then, too.
	maxAge = 30 * time.Minute
	// For an exchange for which kafka-go sets no deadline, which is the login.
	exchangeTimeout = 5 * time.Second
	// After a pause of this length it is asked first whether the broker has closed the connection.
	pauseBeforeCheck = time.Second
)

// connections makes the connections to the brokers and knows those that are open.
type connections struct {
	tls    *tls.Config
	below  func(ctx context.Context, network, address string) (net.Conn, error)
	maxAge time.Duration

	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
}

func newConnections(config *tls.Config, dial func(ctx context.Context, network, address string) (net.Conn, error)) *connections {
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	return &connections{tls: config, below: dial, maxAge: maxAge, open: map[*conn]struct{}{}}
}

// dial opens a connection, with TLS where it is configured: kafka-go's own would hide what lies below it.
func (cs *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	tcp, err := cs.below(ctx, network, address)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	c := &conn{Conn: tcp, tcp: tcp, cs: cs, used: now}
	// Not all at once: a tenth of it is by chance.
	c.expires = now.Add(cs.maxAge - time.Duration(rand.Int64N(int64(cs.maxAge/10)))) //nolint:gosec // G404: spreads load, hides nothing
	if !cs.add(c) {
		_ = tcp.Close()
		return nil, net.ErrClosed
	}
	if cs.tls != nil {
		config := cs.tls.Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(address) // it was dialled
		}
		client := tls.Client(tcp, config)
		if err := client.HandshakeContext(ctx); err != nil {
			cs.remove(c)
			_ = tcp.Close()
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		c.Conn, c.tls = client, client
	}
	return c, nil
}

// add notes an open connection, unless there are to be none any more.
func (cs *connections) add(c *conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.closed {
		cs.open[c] = struct{}{}
	}
	return !cs.closed
}

func (cs *connections) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
}

// close closes all connections for good, those with a request or a handshake under way too.
func (cs *connections) close() {
	cs.mu.Lock()
	open := cs.open
	cs.open, cs.closed = nil, true
	cs.mu.Unlock()
	for c := range open {
		_ = c.tcp.Close()
	}
}

// errStale says that a connection was found closed, or too old, before anything was sent on it.
var errStale = errors.New("the connection is stale")

// conn is a connection that is not used when it is of no use. One goroutine uses it at a time.
type conn struct {
	net.Conn          // what kafka-go reads and writes
	tcp      net.Conn // below it
	tls      *tls.Conn
	cs       *connections

	expires  time.Time
	used     time.Time
	deadline time.Time // as kafka-go has set it
	midway   bool      // a request is being written
	size     [4]byte   // of the answer: its first bytes
	sized    int       // so many of them are known
	strange  error     // what came is no answer
}

// Write begins a request, or goes on with it.
func (c *conn) Write(b []byte) (int, error) {
	now := time.Now()
	if !c.midway {
		if now.After(c.expires) || now.Sub(c.used) > pauseBeforeCheck && c.closedByPeer() {
			return 0, errStale
		}
		c.midway, c.sized = true, 0
		deadline := c.deadline
		if deadline.IsZero() {
			deadline = now.Add(exchangeTimeout)
		}
		if err := c.Conn.SetDeadline(deadline); err != nil {
			return 0, fmt.Errorf("set a deadline: %w", err)
		}
	}
	c.used = now
	return c.Conn.Write(b)
}

// Read reads an answer. kafka-go believes whatever comes: it takes the first bytes of a web server for the size of an
// answer, and the next for that of a list, for which it makes room.
func (c *conn) Read(b []byte) (int, error) {
	c.midway = false
	if c.strange != nil {
		return 0, c.strange
	}
	n, err := c.Conn.Read(b)
	if c.sized < len(c.size) {
		c.sized += copy(c.size[c.sized:], b[:n])
		switch {
		case c.sized < len(c.size):
		case c.size[0] == alertRecord && c.size[1] == 3:
			c.strange = errWantsTLS
		case binary.BigEndian.Uint32(c.size[:]) > maxAnswer:
			c.strange = errNotKafka
		}
		if c.strange != nil {
			return 0, c.strange
		}
	}
	return n, err
}

// Those on the other side who do not speak Kafka's protocol, or not at once.
var (
	errWantsTLS = errors.New("a TLS record came")
	errNotKafka = errors.New("something else than an answer of Kafka came")
)

const (
	maxAnswer   = 16 << 20 // bytes; the largest, metadata of a topic with many partitions, is a hundredth of it
	alertRecord = 21       // first byte of a TLS record with an alert; its second is 3 (RFC 8446, section 5.1)
)

// SetDeadline limits the next request. The zero time is kafka-go's way to say that one is over.
func (c *conn) SetDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

// Close closes the connection.
func (c *conn) Close() error {
	c.cs.remove(c)
	return c.Conn.Close()
}

// closedByPeer says whether the other side has closed the connection. What waits to be read between two requests is
// never an answer: on TLS it may be a note that the connection ends, so it is read.
func (c *conn) closedByPeer() bool {
	pending, closed := peek(c.tcp)
	if closed || !pending {
		return closed
	}
	if c.tls == nil {
		return true // no broker speaks unasked
	}
	if c.tls.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return true
	}
	n, err := c.tls.Read(make([]byte, 1))
	timeout, ok := errors.AsType[net.Error](err)
	return n > 0 || !ok || !timeout.Timeout()
}
