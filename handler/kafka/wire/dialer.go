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
	// All that it takes to have a connection: TCP, TLS, versions, login.
	connectTimeout = 5 * time.Second
	dialTimeout    = 2 * time.Second // TCP only; below attemptTimeout, so that it is seen as what it is
	// Where one does not answer, the next is tried beside it: addresses of a name, and brokers that are asked for metadata.
	tryNextAfter = 250 * time.Millisecond
	// Azure closes a connection that was idle for 240 s, and its load balancers may do so silently.
	idleTimeout = 180 * time.Second
	// A broker that is behind a load balancer should see new connections now and then.
	maxAge = 30 * time.Minute
	// After a pause of this length it is looked first whether the broker has closed the connection.
	pauseBeforeCheck = time.Second
)

// DialFunc opens a connection to host:port.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dialer makes the connections to the brokers and knows those that are open.
type Dialer struct {
	tls      func() *tls.Config // nil: plain
	sasl     sasl.Mechanism     // nil: no login
	clientID string
	dial     DialFunc
	MaxAge   time.Duration
	started  time.Time
	dead     atomic.Int64 // connections that have rested since before this time, in ns since started, may be dead

	mu     sync.Mutex
	open   map[*Conn]struct{}
	closed bool
}

// Config says how brokers are reached.
type Config struct {
	ClientID string
	TLS      func() *tls.Config // asked at each new connection; nil: plain connections
	SASL     sasl.Mechanism     // nil: no login
	Dial     DialFunc           // below TLS; nil: TCP
}

// NewDialer returns a dialer, which must be closed.
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
	// Not all at once: a tenth of it is by chance.
	c.Expires = now.Add(d.MaxAge - time.Duration(rand.Int64N(int64(d.MaxAge/10)+1))) //nolint:gosec // G404: spreads load, hides nothing
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

// add notes an open connection, unless there are to be none any more.
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

// Close closes all connections for good, those with a request or a handshake under way too.
func (d *Dialer) Close() {
	d.mu.Lock()
	open := d.open
	d.open, d.closed = nil, true
	d.mu.Unlock()
	for c := range open {
		c.abort()
	}
}

// Distrust notes that a connection was dead after a pause: others that have rested as long may be, too, since a NAT forgot
// them or the machine was suspended.
func (d *Dialer) Distrust(c *Conn) {
	if c.pause > pauseBeforeCheck {
		d.dead.Store(int64(time.Since(d.started)))
	}
}

// dialTCP opens a TCP connection. A name's addresses are tried one beside the other: the first may be a black hole, and
// net.Dialer gives it all the time.
func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	// Keep-alives keep a NAT from forgetting the connection, and find a dead one while nothing is sent.
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

// Race tries one after the other without waiting long for any, and returns the first that works. discard gets those that
// work later. The error is the first one.
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
