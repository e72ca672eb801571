package faultproxy

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxPieces   = 1024 // of answers that wait for their time, by connection
	dialTimeout = 5 * time.Second
)

// session is a client's connection with its connection to the target. Three goroutines serve it: ask forwards
// requests, listen reads answers with their times, deliver passes them on in time. Its lock may be taken while the
// proxy's is held, but not the reverse.
type session struct {
	proxy   *Proxy
	client  *net.TCPConn
	cancel  context.CancelFunc
	answers chan piece
	silent  atomic.Bool

	mu      sync.Mutex
	target  net.Conn // nil until dialled
	ended   bool
	waiting []waiting // requests without their answer, oldest first
	held    int       // pieces that are not delivered yet
}

type waiting struct {
	id  int32 // correlation id
	cut bool  // when its answer comes
}

// piece is a part of an answer, or the end of the connection where data is nil.
type piece struct {
	data  []byte
	due   time.Time
	drip  time.Duration
	cut   bool // the end comes by a rule
	reset bool // the end came by a RST
}

// run serves the connection until it has ended, and with it everything of the session.
func (s *session) run(ctx context.Context, target string) {
	defer s.end(false)
	if !s.open(ctx) {
		return
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		s.end(true) // the closest to a refusal for an accepted connection
		return
	}
	if !s.connected(conn) {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.ask(ctx) })
	wg.Go(func() { s.listen(ctx) })
	s.deliver(ctx)
	s.end(false)
	wg.Wait()
}

func (s *session) connected(target net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = target
	if s.ended {
		_ = target.Close() // nothing was written
	}
	return !s.ended
}

// end closes both connections, the client's with a RST if reset. Data that was sent to the target still arrives. It
// returns false if they were already closed.
func (s *session) end(reset bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.ended = true
	// Errors only say that a peer was faster.
	if reset {
		_ = s.client.SetLinger(0)
	}
	_ = s.client.Close()
	if s.target != nil {
		_ = s.target.Close()
	}
	s.cancel()
	return true
}

// open waits while nothing may pass. It reports false when the session has ended.
func (s *session) open(ctx context.Context) bool {
	for {
		hole, changed := s.proxy.hole()
		if !hole && !s.silent.Load() {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// idle reports whether every request has been answered completely.
func (s *session) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) == 0 && s.held == 0
}
