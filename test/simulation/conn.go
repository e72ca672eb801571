package simulation

import (
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// conn is an end of a connection that behaves like TCP: written data arrives later, even if the writer has closed the
// connection, and a writer does not wait for the reader.
type conn struct {
	route
	at      address // of the listener
	far     bool    // the listener's end
	in, out *stream
	peer    *conn
	closed  atomic.Bool

	mu    sync.Mutex
	asked frames // of the near end: the requests of Kafka's protocol that were written
	fate  Kind   // of the near end: NextAfter, no answer arrives any more, or NextHalf, half of one and then nothing
}

// stream is one direction of a connection.
type stream struct {
	mu       sync.Mutex
	chunks   []chunk
	last     time.Time // when the newest of them arrives
	ended    bool      // no more data follows
	broken   bool
	deadline time.Time // of reads; writes never block
	wake     chan struct{}
}

type chunk struct {
	data []byte
	at   time.Time
	held bool // it does not arrive before release
}

func newStream() *stream { return &stream{wake: make(chan struct{}, 1)} }

// change changes the stream, and wakes its reader.
func (s *stream) change(how func()) {
	s.mu.Lock()
	how()
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (c *conn) LocalAddr() net.Addr {
	if c.far {
		return c.at
	}
	return address("client")
}

func (c *conn) RemoteAddr() net.Addr { return c.peer.LocalAddr() }

func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.change(func() { c.in.deadline = t })
	return nil
}

func (*conn) SetWriteDeadline(time.Time) error { return nil }

// Close ends the connection. Data written before still arrives.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.out.change(func() { c.out.ended = true })
	c.in.change(func() {})
	if c.far { // until then something may be held on its way there
		c.net.forget(c.peer)
	}
	return nil
}

// reset breaks this end: reads and writes fail. Data written before still arrives at the other end.
func (c *conn) reset() {
	c.in.change(func() { c.in.broken = true })
	c.out.change(func() { c.out.ended = true })
}

func (c *conn) isBroken() bool {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	return c.in.broken
}

// Write sends. It returns at once.
func (c *conn) Write(b []byte) (int, error) {
	switch {
	case c.closed.Load():
		return 0, net.ErrClosed
	case c.isBroken():
		return 0, broken("write")
	case len(b) == 0:
		return 0, nil
	}
	at, held, n, err := c.send(b)
	if n > 0 {
		c.out.change(func() {
			if at.After(c.out.last) {
				c.out.last = at
			}
			c.out.chunks = append(c.out.chunks, chunk{slices.Clone(b[:n]), c.out.last, held})
		})
	}
	if err != nil {
		c.reset()
	}
	return n, err
}

// Read waits for data.
func (c *conn) Read(b []byte) (int, error) {
	var timer *time.Timer
	for !c.closed.Load() {
		n, next, err := c.in.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		var due <-chan time.Time // nil: nothing is on its way
		if !next.IsZero() {
			if timer == nil {
				timer = time.NewTimer(time.Until(next))
				defer timer.Stop()
			} else {
				timer.Reset(time.Until(next))
			}
			due = timer.C
		}
		select {
		case <-c.in.wake:
		case <-due:
		}
	}
	return 0, net.ErrClosed
}

// take returns the arrived data, or when to look again; the zero time means when the stream has changed.
func (s *stream) take(b []byte) (n int, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.broken {
		return 0, next, broken("read")
	}
	for n < len(b) && len(s.chunks) > 0 && !s.chunks[0].held && !now.Before(s.chunks[0].at) {
		c := &s.chunks[0]
		m := copy(b[n:], c.data)
		n += m
		if c.data = c.data[m:]; len(c.data) == 0 {
			s.chunks = s.chunks[1:]
		}
	}
	switch late := !s.deadline.IsZero() && !now.Before(s.deadline); {
	case n > 0:
		return n, next, nil
	case len(s.chunks) == 0 && s.ended:
		return 0, next, io.EOF
	case late:
		return 0, next, os.ErrDeadlineExceeded
	}
	return 0, s.next(), nil
}

// next returns when data arrives or the deadline is, whichever is first.
func (s *stream) next() (t time.Time) {
	if len(s.chunks) > 0 && !s.chunks[0].held {
		t = s.chunks[0].at
	}
	if !s.deadline.IsZero() && (t.IsZero() || s.deadline.Before(t)) {
		t = s.deadline
	}
	return t
}

// release releases the held data, which arrives at the given time.
func (s *stream) release(at time.Time) {
	s.change(func() {
		for i := range s.chunks {
			if !s.chunks[i].held {
				continue
			}
			if at.After(s.last) {
				s.last = at
			}
			s.chunks[i].held, s.chunks[i].at = false, s.last
		}
	})
}

// drop discards the held data.
func (s *stream) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.chunks, func(c chunk) bool { return c.held }); i >= 0 {
		s.chunks = s.chunks[:i]
	}
}
