package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"userrelay/local/freeport"
)

// Proxy accepts connections on a loopback port until Close. Its methods may be called concurrently.
type Proxy struct {
	addr *net.TCPAddr
	wg   sync.WaitGroup // every goroutine

	mu       sync.Mutex
	closed   bool
	target   string
	listener *net.TCPListener // nil while connections are refused
	faults   Faults
	changed  chan struct{} // closed when faults change
	seen     []int         // requests by rule
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
		stats:    Stats{Requests: map[int16]int{}, Actions: map[Action]int{}},
	}
	if err := p.SetFaults(Faults{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
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

// SetFaults replaces the faults, and resets the counts of rules. It fails if Refuse ends and another process has taken
// the port; the faults do not change then.
func (p *Proxy) SetFaults(f Faults) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return fmt.Errorf("set faults: %w", net.ErrClosed)
	case f.Refuse && p.listener != nil:
		if err := p.listener.Close(); err != nil {
			return fmt.Errorf("stop listening: %w", err)
		}
		p.listener = nil
	case !f.Refuse && p.listener == nil:
		l, err := net.ListenTCP("tcp4", p.addr)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		p.accept(l)
	}
	p.faults, p.seen = f, make([]int, len(f.Rules))
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// CutAll cuts every connection and returns how many there were.
func (p *Proxy) CutAll() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		if s.end(p.faults.Reset) {
			n++
		}
	}
	return n
}

// Stats returns the counts so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Open = len(p.sessions)
	s.Requests, s.Actions = maps.Clone(s.Requests), maps.Clone(s.Actions)
	return s
}

// Close ends all connections and returns when every goroutine has ended. It may be called more than once.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	var err error
	if p.listener != nil {
		err = p.listener.Close()
		p.listener = nil
	}
	for s := range p.sessions {
		s.end(false)
	}
	p.mu.Unlock()
	p.wg.Wait()
	if err != nil {
		return fmt.Errorf("close the proxy: %w", err)
	}
	return nil
}

// accept serves connections from l until it is closed. mu is held.
func (p *Proxy) accept(l *net.TCPListener) {
	const pause = 20 * time.Millisecond // after an error such as too many open files
	p.listener = l
	p.wg.Go(func() {
		for {
			conn, err := l.AcceptTCP()
			switch {
			case err == nil:
				p.start(conn)
			case errors.Is(err, net.ErrClosed):
				return
			default:
				<-time.After(pause)
			}
		}
	})
}

func (p *Proxy) start(conn *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.listener == nil { // it was accepted just before
		_ = conn.Close()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{proxy: p, client: conn, cancel: cancel, cut: map[int32]bool{}}
	p.sessions[s] = struct{}{}
	p.stats.Connections++
	p.wg.Go(func() {
		s.run(ctx, p.target)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.sessions, s)
	})
}

// count counts a request.
func (p *Proxy) count(key int16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Requests[key]++
}

// decide returns the action for a request.
func (p *Proxy) decide(key int16) Action {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.faults.Rules {
		if r.Key != Any && r.Key != key {
			continue
		}
		p.seen[i]++
		if p.seen[i] == r.Nth || rand.Float64() < r.Share { //nolint:gosec // G404: chance, not a secret
			return r.Do[rand.IntN(len(r.Do))] //nolint:gosec // G404: chance, not a secret
		}
	}
	return forward
}

// did counts an action and says whether cuts are resets.
func (p *Proxy) did(a Action) (reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Actions[a]++
	return p.faults.Reset
}

// delay is how long an answer is delayed.
func (p *Proxy) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults.Delay
}

// hole says whether everything is held back, and returns a channel that is closed when that may change.
func (p *Proxy) hole() (bool, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults.BlackHole, p.changed
}
