package simulation

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// network is the network of a run, in memory: the listeners, and the addresses that do not answer now.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	down      map[string]bool // unreachable ones
	conns     []*conn         // near ends in the order of their creation, so that operations on all have the same order each time
}

func newNetwork() *network {
	return &network{listeners: map[string]*listener{}, down: map[string]bool{}}
}

// address is host:port.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// listener accepts the connections to an address.
type listener struct {
	net     *network
	at      address
	backlog chan *conn
	closed  chan struct{}
	once    sync.Once
}

// Listen is for kfake.ListenFn. The listener does not close the connections that it has accepted.
func (n *network) Listen(_, at string) (net.Listener, error) { return n.listen(at) }

func (n *network) listen(at string) (*listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[at] != nil {
		return nil, fmt.Errorf("%s is taken", at)
	}
	l := &listener{net: n, at: address(at), backlog: make(chan *conn, 1024), closed: make(chan struct{})}
	n.listeners[at] = l
	return l, nil
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		if l.net.listeners[string(l.at)] == l {
			delete(l.net.listeners, string(l.at))
		}
		l.net.mu.Unlock()
		for {
			select {
			case c := <-l.backlog:
				c.reset()
				continue
			default:
			}
			return
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.at }

// dial connects to an address. The path defines the latencies of both ends.
func (n *network) dial(ctx context.Context, p path, at string) (*conn, error) {
	if err := p.connect(ctx, at); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[at]
	if l == nil || n.down[at] || p.gone() {
		return nil, refused()
	}
	there, back := newStream(), newStream()
	near := &conn{net: n, path: p, local: "client", remote: address(at), in: back, out: there}
	far := &conn{net: n, path: p, local: address(at), remote: "client", in: there, out: back, far: true}
	near.peer, far.peer = far, near
	select {
	case l.backlog <- far:
	default:
		return nil, refused()
	}
	n.conns = append(n.conns, near)
	return near, nil
}

// cut resets the connections of which the function selects an end.
func (n *network) cut(chosen func(near *conn) bool) {
	n.mu.Lock()
	var all []*conn
	n.conns = slices.DeleteFunc(n.conns, func(c *conn) bool {
		hit := chosen(c)
		if hit {
			all = append(all, c)
		}
		return hit
	})
	n.mu.Unlock()
	for _, c := range all {
		c.reset()
		c.peer.reset()
	}
}

// setDown makes an address refuse connections, or accept them again.
func (n *network) setDown(at string, down bool) {
	n.mu.Lock()
	n.down[at] = down
	n.mu.Unlock()
	if down {
		n.cut(func(c *conn) bool { return string(c.remote) == at })
	}
}

func (n *network) forget(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := slices.Index(n.conns, c); i >= 0 {
		n.conns = slices.Delete(n.conns, i, i+1)
	}
}

// path is the connection between two ends.
type path interface {
	// connect waits for the time of connecting, and returns an error if that fails.
	connect(ctx context.Context, at string) error
	// send returns when data that is written now arrives, or holds it until some time after wake is called. The bytes
	// are the beginning of the data. An error breaks the connection after n bytes have been sent.
	send(c *conn, b []byte) (arrives time.Time, held bool, n int, err error)
	// gone says that the process at the near end has ended.
	gone() bool
}

func refused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func broken(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, syscall.ECONNRESET)}
}

// allUp makes every address answer.
func (n *network) allUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.down)
}
