package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go/sasl"
)

const (
	// The time limit for a connection: TCP, TLS, versions, login.
	connectTimeout = 5 * time.Second
	dialTimeout    = 2 * time.Second // TCP only; below attemptTimeout, so that the error names the cause
	// If one does not answer within this time, the next is tried concurrently: addresses of a name, and brokers that
	// are asked for metadata.
	tryNextAfter = 250 * time.Millisecond
	// Azure closes connections that were idle for 240 s; its load balancers may do that silently.
	idleTimeout = 180 * time.Second
	// Connections are replaced after this time, so that load balancers can distribute them again.
	maxAge = 30 * time.Minute
	// After a pause of this length the connection is first checked for having been closed.
	pauseBeforeCheck = time.Second
)

// DialFunc opens a connection to host:port.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dialer opens connections to the brokers and tracks the open ones.
type Dialer struct {
	tls      func() *tls.Config // nil: plain
	sasl     sasl.Mechanism     // nil: no login
	clientID string
	dial     DialFunc
	MaxAge   time.Duration
	started  time.Time
	dead     atomic.Int64 // connections unused since before this time, in ns since started, may be dead

	mu     sync.Mutex
	open   map[*Conn]struct{}
	closed bool
}

// Config is the configuration of connections.
type Config struct {
	ClientID string
	TLS      func() *tls.Config // called for each new connection; nil: plain connections
	SASL     sasl.Mechanism     // nil: no login
	Dial     DialFunc           // below TLS; nil: TCP
}

// NewDialer returns a dialer. The caller must close it.
func NewDialer(c Config) *Dialer {
	dial := c.Dial
	if dial == nil {
		dial = dialTCP
	}
	return &Dialer{tls: c.TLS, sasl: c.SASL, clientID: c.ClientID, dial: dial, MaxAge: maxAge, started: time.Now(), open: map[*Conn]struct{}{}}
}

// connect opens a connection that is ready for requests, within connectTimeout.
func (d *Dialer) connect(ctx context.Context, address string) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if d.isClosed() {
		return nil, net.ErrClosed
	}
	limit, stopDialling := context.WithTimeout(ctx, dialTimeout)
	tcp, err := d.dial(limit, "tcp", address)
	stopDialling()
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	now := time.Now()
	c := &Conn{Conn: tcp, tcp: tcp, dialer: d, Address: address, Used: now, newest: -1}
	// A tenth of it is random, so that not all connections expire at once.
	c.Expires = now.Add(d.MaxAge - time.Duration(rand.Int64N(int64(d.MaxAge/10)+1))) //nolint:gosec // G404: not a secret
	if !d.add(c) {
		_ = tcp.Close()
		return nil, net.ErrClosed
	}
	stop := context.AfterFunc(ctx, c.abort)
	err = c.open(ctx)
	if !stop() { // it is aborted, or will be
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		c.HangUp()
		return nil, err
	}
	return c, nil
}

func (d *Dialer) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// add notes an open connection. It returns false after Close.
func (d *Dialer) add(c *Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.open[c] = struct{}{}
	}
	return !d.closed
}

func (d *Dialer) remove(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c)
}

// Close closes all connections, including those with a request or a handshake in progress. No new one can be opened.
func (d *Dialer) Close() {
	d.mu.Lock()
	open := d.open
	d.open, d.closed = nil, true
	d.mu.Unlock()
	for c := range open {
		c.abort()
	}
}

// Distrust notes that a connection was dead after a pause. Others with the same pause may be dead, too, because a NAT
// dropped them or the machine was suspended.
func (d *Dialer) Distrust(c *Conn) {
	if c.pause > pauseBeforeCheck {
		d.dead.Store(int64(time.Since(d.started)))
	}
}

// dialTCP opens a TCP connection. It tries the addresses of a name concurrently: if the first one drops packets,
// net.Dialer would spend nearly all the time on it.
func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	// Keep-alives prevent a NAT from dropping the connection, and detect a dead connection while nothing is sent.
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return dialer.DialContext(ctx, network, address)
	}
	hosts, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	addresses := make([]string, len(hosts))
	for i, h := range hosts {
		addresses[i] = net.JoinHostPort(h, port)
	}
	return Race(ctx, addresses, func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}, func(c net.Conn) { _ = c.Close() })
}

// Race starts the attempts one after the other, a short time apart, and returns the first success. discard gets later
// successes. If all fail it returns the first error.
func Race[T any](ctx context.Context, addresses []string, try func(context.Context, string) (T, error), discard func(T)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	outcomes := make(chan outcome)
	ctx, cancel := context.WithCancel(ctx)
	var (
		winner T
		first  error
		tries  sync.WaitGroup
		timer  = time.NewTimer(0)
	)
	defer timer.Stop()
	won := false
	for tried, ended := 0, 0; ended < len(addresses) && !won; {
		select {
		case <-timer.C:
			if tried == len(addresses) {
				continue
			}
			address := addresses[tried]
			tried++
			timer.Reset(tryNextAfter)
			tries.Go(func() {
				value, err := try(ctx, address)
				select {
				case outcomes <- outcome{value, err}:
				case <-ctx.Done():
					if err == nil {
						discard(value)
					}
				}
			})
		case o := <-outcomes:
			ended++
			if won = o.err == nil; won {
				winner = o.value
				continue
			}
			if first == nil {
				first = o.err
			}
			timer.Reset(0)
		case <-ctx.Done():
			ended = len(addresses)
			first = errors.Join(first, ctx.Err())
		}
	}
	cancel()
	tries.Wait()
	if won {
		first = nil
	}
	return winner, first
}
