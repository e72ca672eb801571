package kafka

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

// links makes the connections to the brokers and knows those that are open.
type links struct {
	tls      func() *tls.Config // nil: plain
	sasl     sasl.Mechanism     // nil: no login
	clientID string
	dial     DialFunc
	maxAge   time.Duration
	started  time.Time
	dead     atomic.Int64 // connections that have rested since before this time, in ns since started, may be dead

	mu     sync.Mutex
	open   map[*link]struct{}
	closed bool
}

func newLinks(c Config) *links {
	dial := c.Dial
	if dial == nil {
		dial = dialTCP
	}
	secure := c.CurrentTLS
	if secure == nil && c.TLS != nil {
		secure = func() *tls.Config { return c.TLS }
	}
	return &links{tls: secure, sasl: c.SASL, clientID: c.ClientID, dial: dial, maxAge: maxAge, started: time.Now(), open: map[*link]struct{}{}}
}

// connect opens a connection that is ready for requests, within connectTimeout.
func (ls *links) connect(ctx context.Context, address string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if ls.isClosed() {
		return nil, net.ErrClosed
	}
	limit, stopDialling := context.WithTimeout(ctx, dialTimeout)
	tcp, err := ls.dial(limit, "tcp", address)
	stopDialling()
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	now := time.Now()
	l := &link{Conn: tcp, tcp: tcp, links: ls, address: address, used: now, newest: -1}
	// Not all at once: a tenth of it is by chance.
	l.expires = now.Add(ls.maxAge - time.Duration(rand.Int64N(int64(ls.maxAge/10)+1))) //nolint:gosec // G404: spreads load, hides nothing
	if !ls.add(l) {
		_ = tcp.Close()
		return nil, net.ErrClosed
	}
	stop := context.AfterFunc(ctx, l.abort)
	err = l.open(ctx)
	if !stop() { // it is aborted, or will be
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (ls *links) isClosed() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.closed
}

// add notes an open connection, unless there are to be none any more.
func (ls *links) add(l *link) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !ls.closed {
		ls.open[l] = struct{}{}
	}
	return !ls.closed
}

func (ls *links) remove(l *link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.open, l)
}

// close closes all connections for good, those with a request or a handshake under way too.
func (ls *links) close() {
	ls.mu.Lock()
	open := ls.open
	ls.open, ls.closed = nil, true
	ls.mu.Unlock()
	for l := range open {
		l.abort()
	}
}

// distrust notes that a connection was dead after a pause: others that have rested as long may be, too, since a NAT forgot
// them or the machine was suspended.
func (ls *links) distrust(l *link) {
	if l.pause > pauseBeforeCheck {
		ls.dead.Store(int64(time.Since(ls.started)))
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
	return race(ctx, addresses, func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}, func(c net.Conn) { _ = c.Close() })
}

// race tries one after the other without waiting long for any, and returns the first that works. discard gets those that
// work later. The error is the first one.
func race[T any](ctx context.Context, addresses []string, try func(context.Context, string) (T, error), discard func(T)) (T, error) {
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
