package faultproxy

import (
	"context"
	"errors"
	"net"
	"time"
)

const acceptPause = 20 * time.Millisecond // after an error such as too many open files

// accept starts to serve connections from l until it is closed. mu is held.
func (p *Proxy) accept(l *net.TCPListener) {
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
				<-time.After(acceptPause)
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
	s := &session{proxy: p, client: conn, cancel: cancel, answers: make(chan piece, maxPieces)}
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
		if p.framing == Kafka && r.Key != Any && r.Key != key {
			continue
		}
		p.seen[i]++
		if p.seen[i] == r.Nth || r.Share > 0 && p.draw.Float64() < r.Share {
			return r.Do[p.draw.IntN(len(r.Do))]
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

// timing returns when an answer that arrives now may be delivered, and the interval of its bytes.
func (p *Proxy) timing() (due time.Time, drip time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.faults.Delay), p.faults.DripEvery
}

// hole says whether everything is held back, and returns a channel that is closed when that may change.
func (p *Proxy) hole() (bool, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults.BlackHole, p.changed
}

func (p *Proxy) malformed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Malformed++
}
