// Package faultproxy is a TCP proxy on loopback that breaks connections to Kafka in chosen ways, for tests.
//
// Of Kafka's protocol it knows only the framing of requests and answers (4 bytes of length, then kind, version and
// correlation id), which is enough to act on a share of the Produce requests. TLS hides the framing. The proxy never
// changes bytes.
package faultproxy

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"userrelay/local/freeport"
)

// Action is what becomes of a Produce request.
type Action string

// The actions.
const (
	forward Action = ""
	// CutBefore: the target never sees the request.
	CutBefore Action = "cut before"
	// CutAfter cuts at once after forwarding: the target may or may not handle the request, no answer is delivered.
	CutAfter Action = "cut after"
	// CutOnAnswer cuts instead of delivering the answer: the target did handle the request. Earlier answers are delivered.
	CutOnAnswer Action = "cut on answer"
	// Silence leaves the connection open, but neither the request nor anything after it passes, in either direction.
	Silence Action = "silence"
)

// Faults are the faults to inject. The zero value forwards everything.
type Faults struct {
	// Refuse cuts all connections and refuses new ones, as if nothing listened.
	Refuse bool
	// BlackHole forwards nothing in either direction, on new connections and on open ones. New ones are accepted. The
	// held data passes when BlackHole is switched off, as after a network partition.
	BlackHole bool
	// Delay delays every answer by this time. A connection's next answer is delayed when this one is delivered.
	Delay time.Duration
	// Reset cuts with a RST instead of a FIN. (A FIN also becomes a RST if bytes of the client are unread.)
	Reset bool
	// Share is the share of the Produce requests that meet an action, 0 to 1. Which ones is left to chance.
	Share float64
	// Do lists the actions; one is drawn for every request of the share.
	Do []Action
}

// Stats counts since the proxy was made.
type Stats struct {
	Connections int // accepted
	Produced    int // complete Produce requests that came, whatever became of them
	Cuts        int // connections that actions have cut
	Silenced    int // connections that an action has silenced
}

// Proxy accepts connections on a loopback port. Its methods may be called concurrently.
type Proxy struct {
	addr *net.TCPAddr
	wg   sync.WaitGroup // every goroutine

	mu       sync.Mutex
	target   string
	listener *net.TCPListener // nil while connections are refused
	faults   Faults
	changed  chan struct{} // closed when faults change
	sessions map[*session]struct{}
	stats    Stats
}

// ForTest starts a proxy on a free port of 127.0.0.1, without a target, for the duration of a test.
func ForTest(tb testing.TB) *Proxy {
	tb.Helper()
	// Not port 0: a port for outgoing connections could be taken when Refuse ends, and a client that dials it while
	// nothing listens can connect to itself.
	port, err := freeport.Find(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{
		addr:     &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port},
		sessions: map[*session]struct{}{},
		changed:  make(chan struct{}),
	}
	p.Set(tb, Faults{})
	tb.Cleanup(func() {
		p.Set(tb, Faults{Refuse: true})
		p.wg.Wait()
	})
	return p
}

// Addr returns the proxy's address, host:port.
func (p *Proxy) Addr() string { return p.addr.String() }

// SetTarget forwards new connections to addr, host:port.
func (p *Proxy) SetTarget(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// Set replaces the faults, also for open connections. It ends the test if Refuse ends and another process has taken the
// port.
func (p *Proxy) Set(tb testing.TB, f Faults) {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.Refuse && p.listener != nil:
		if err := p.listener.Close(); err != nil {
			tb.Fatalf("stop listening: %v", err)
		}
		p.listener = nil
		if err := freeport.Refused(context.WithoutCancel(tb.Context()), p.Addr()); err != nil {
			tb.Fatalf("stop listening: %v", err)
		}
		for s := range p.sessions {
			s.end(f.Reset)
		}
	case !f.Refuse && p.listener == nil:
		l, err := net.ListenTCP("tcp4", p.addr)
		if err != nil {
			tb.Fatalf("listen: %v", err)
		}
		p.listener = l
		p.wg.Go(func() { p.accept(l) })
	}
	p.faults = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// Stats returns the counts so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// accept serves connections from l until it is closed.
func (p *Proxy) accept(l *net.TCPListener) {
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			return
		}
		p.start(conn)
	}
}

func (p *Proxy) start(conn *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil { // it was accepted just before
		_ = conn.Close()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{proxy: p, client: conn, cancel: cancel}
	p.sessions[s] = struct{}{}
	p.stats.Connections++
	target := p.target
	p.wg.Go(func() {
		s.run(ctx, target)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.sessions, s)
	})
}

// now returns the faults, and a channel that is closed when they change.
func (p *Proxy) now() (Faults, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults, p.changed
}

// count increments one of the counts.
func (p *Proxy) count(n *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n++
}

// draw returns the action for a Produce request.
func (p *Proxy) draw() Action {
	f, _ := p.now()
	if rand.Float64() >= f.Share { //nolint:gosec // G404: chance, not a secret
		return forward
	}
	return f.Do[rand.IntN(len(f.Do))] //nolint:gosec // G404: chance, not a secret
}
