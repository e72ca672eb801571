package faultproxy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Options are the target and the framing. The zero value is Kafka without a target.
type Options struct {
	// Target is the host:port to forward to. It can be set later, see Proxy.SetTarget.
	Target string
	// Framing is Kafka or Bytes.
	Framing Framing
	// Seed makes random choices repeatable: the same requests in the same order get the same actions.
	Seed uint64
}

// Proxy accepts connections on a loopback port until Close. Its methods may be called concurrently.
type Proxy struct {
	framing Framing
	addr    *net.TCPAddr
	wg      sync.WaitGroup // every goroutine

	mu       sync.Mutex
	closed   bool
	target   string
	listener *net.TCPListener // nil while connections are refused
	faults   Faults
	changed  chan struct{} // closed when faults change
	seen     []int         // requests by rule
	draw     *rand.Rand
	sessions map[*session]struct{}
	stats    Stats
}

// Listen starts a proxy on a free port of 127.0.0.1.
func Listen(o Options) (*Proxy, error) {
	l, addr, err := listenAnywhere()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		framing:  o.Framing,
		addr:     addr,
		target:   o.Target,
		changed:  make(chan struct{}),
		draw:     rand.New(rand.NewPCG(o.Seed, 0)), //nolint:gosec // G404: repeatable on purpose
		sessions: map[*session]struct{}{},
		stats:    Stats{Requests: map[int16]int{}, Actions: map[Action]int{}},
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accept(l)
	return p, nil
}

// ForTest is Listen for the duration of a test.
func ForTest(tb testing.TB, o Options) *Proxy {
	tb.Helper()
	p, err := Listen(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// listenAnywhere listens on a port below the range for outgoing connections: a port of that range could be taken when
// Refuse ends, and a client that dials it while nothing listens can connect to itself.
func listenAnywhere() (*net.TCPListener, *net.TCPAddr, error) {
	const lowest, highest, tries = 15_000, 30_000, 100
	var last error
	for range tries {
		port := lowest + rand.IntN(highest-lowest) //nolint:gosec // G404: any port will do
		addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
		l, err := net.ListenTCP("tcp4", addr)
		if err == nil {
			return l, addr, nil
		}
		last = err
	}
	return nil, nil, fmt.Errorf("find a free port in %d tries: %w", tries, last)
}

// Addr returns the proxy's address, host:port.
func (p *Proxy) Addr() string { return p.addr.String() }

// SetTarget forwards new connections to addr, host:port.
func (p *Proxy) SetTarget(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// SetFaults replaces the faults, and resets the counts of rules. It fails if a rule is invalid, or if Refuse ends and
// another process has taken the port; the faults do not change then.
func (p *Proxy) SetFaults(f Faults) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("set faults: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("set faults: %w", net.ErrClosed)
	}
	switch {
	case f.Refuse && p.listener != nil:
		if err := p.listener.Close(); err != nil {
			return fmt.Errorf("stop listening: %w", err)
		}
		p.listener = nil
	case !f.Refuse && p.listener == nil:
		l, err := net.ListenTCP("tcp4", p.addr)
		if err != nil {
			return fmt.Errorf("listen again: %w", err)
		}
		p.accept(l)
	}
	p.faults, p.seen = f, make([]int, len(f.Rules))
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// CutAll cuts every connection and returns how many there were.
func (p *Proxy) CutAll() int { return p.cut(func(*session) bool { return true }) }

// CloseIdle cuts the connections without an unanswered request and returns how many there were.
func (p *Proxy) CloseIdle() int { return p.cut((*session).idle) }

func (p *Proxy) cut(which func(*session) bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for s := range p.sessions {
		if which(s) && s.end(p.faults.Reset) {
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
