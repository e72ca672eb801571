package simulation

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
)

// network is the network of a run, in memory.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	down      map[string]bool // addresses that do not answer now
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
func (n *network) Listen(_, at string) (net.Listener, error) {
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
		delete(l.net.listeners, string(l.at))
		l.net.mu.Unlock()
		for {
			select {
			case c := <-l.backlog:
				c.reset()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.at }

// route leads from a process to the addresses that it dials.
type route struct {
	net   *network
	from  *process // nil: one that lives as long as the run
	kafka bool     // the faults of the process's wires to the brokers apply
}

// dial connects to an address. It is for the configurations of clients.
func (r route) dial(ctx context.Context, _, at string) (net.Conn, error) {
	if err := r.connect(ctx, at); err != nil {
		return nil, err
	}
	n := r.net
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[at]
	if l == nil || n.down[at] || r.from.gone() {
		return nil, refused()
	}
	there, back := newStream(), newStream()
	near := &conn{route: r, at: l.at, in: back, out: there}
	far := &conn{route: r, at: l.at, in: there, out: back, far: true}
	near.peer, far.peer = far, near
	select {
	case l.backlog <- far:
	default:
		return nil, refused()
	}
	n.conns = append(n.conns, near)
	return near, nil
}

// open returns the near ends of the open connections.
func (n *network) open() []*conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.conns)
}

// cut resets the connections of which the function selects the near end.
func (n *network) cut(chosen func(near *conn) bool) {
	for _, c := range n.open() {
		if chosen(c) {
			n.forget(c)
			c.reset()
			c.peer.reset()
		}
	}
}

func (n *network) forget(near *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns = slices.DeleteFunc(n.conns, func(c *conn) bool { return c == near })
}

// setDown makes an address refuse connections, or accept them again.
func (n *network) setDown(at string, down bool) {
	n.mu.Lock()
	n.down[at] = down
	n.mu.Unlock()
	if down {
		n.cut(func(c *conn) bool { return string(c.at) == at })
	}
}

// allUp makes every address answer.
func (n *network) allUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.down)
}

func refused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func broken(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, syscall.ECONNRESET)}
}
