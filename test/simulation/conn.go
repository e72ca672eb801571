package simulation

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is an end of a connection that behaves like TCP: written data arrives later, even if the writer has closed the
// connection, and a writer does not wait for the reader.
type conn struct {
	net           *network
	path          path
	local, remote address
	in, out       *stream
	peer          *conn
	far           bool // the listener's end

	asked    frames      // of the near end: the requests of Kafka's protocol that were written
	doomed   atomic.Bool // no answer arrives any more
	halved   atomic.Bool // half of the next answer arrives, and then nothing
	closed   atomic.Bool
	deadline deadline
}

// stream is one direction of a connection.
type stream struct {
	mu     sync.Mutex
	chunks []chunk
	last   time.Time // when the newest of them arrives
	ended  bool      // no more data follows
	broken bool
	wake   chan struct{}
}

type chunk struct {
	data []byte
	at   time.Time
	held bool // it does not arrive before release
}

func newStream() *stream { return &stream{wake: make(chan struct{}, 1)} }

func (s *stream) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// deadline of reads. Writes never block.
type deadline struct {
	mu sync.Mutex // and for asked
	at time.Time
}

func (d *deadline) get() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

func (c *conn) SetReadDeadline(t time.Time) error {
	c.deadline.mu.Lock()
	c.deadline.at = t
	c.deadline.mu.Unlock()
	c.in.notify()
	return nil
}

func (*conn) SetWriteDeadline(time.Time) error { return nil }

// Close ends the connection. Data written before still arrives.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.out.mu.Lock()
	c.out.ended = true
	c.out.mu.Unlock()
	c.out.notify()
	c.in.notify()
	if c.far { // until then something may be held on its way there
		c.net.forget(c.peer)
	}
	return nil
}

// reset breaks this end: reads and writes fail. Data written before still arrives at the other end.
func (c *conn) reset() {
	c.in.mu.Lock()
	c.in.broken = true
	c.in.mu.Unlock()
	c.in.notify()
	c.out.mu.Lock()
	c.out.ended = true
	c.out.mu.Unlock()
	c.out.notify()
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
	at, held, n, err := c.path.send(c, b)
	if n > 0 {
		s := c.out
		s.mu.Lock()
		if at.Before(s.last) {
			at = s.last
		}
		s.last = at
		s.chunks = append(s.chunks, chunk{append([]byte(nil), b[:n]...), at, held})
		s.mu.Unlock()
		s.notify()
	}
	if err != nil {
		c.reset()
		return n, err
	}
	return len(b), nil
}

// Read waits for data.
func (c *conn) Read(b []byte) (int, error) {
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for {
		if c.closed.Load() {
			return 0, net.ErrClosed
		}
		n, next, err := c.in.take(b, time.Now())
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		if limit := c.deadline.get(); !limit.IsZero() {
			if !time.Now().Before(limit) {
				return 0, os.ErrDeadlineExceeded
			}
			if next.IsZero() || limit.Before(next) {
				next = limit
			}
		}
		if next.IsZero() {
			<-c.in.wake
			continue
		}
		if timer == nil {
			timer = time.NewTimer(time.Until(next))
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-c.in.wake:
		case <-timer.C:
		}
	}
}

// take returns the arrived data, or when more will arrive; the zero time means unknown.
func (s *stream) take(b []byte, now time.Time) (n int, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.chunks) > 0 && n < len(b) {
		c := &s.chunks[0]
		if s.broken || c.held || now.Before(c.at) {
			break
		}
		m := copy(b[n:], c.data)
		n += m
		if c.data = c.data[m:]; len(c.data) == 0 {
			s.chunks = s.chunks[1:]
		}
	}
	switch {
	case n > 0:
		return n, time.Time{}, nil
	case s.broken:
		return 0, time.Time{}, broken("read")
	case len(s.chunks) > 0 && !s.chunks[0].held:
		return 0, s.chunks[0].at, nil
	case len(s.chunks) == 0 && s.ended:
		return 0, time.Time{}, io.EOF
	}
	return 0, time.Time{}, nil
}

// release releases the held data, which arrives at the given time.
func (s *stream) release(at time.Time) {
	s.mu.Lock()
	for i := range s.chunks {
		if s.chunks[i].held {
			s.chunks[i].held = false
			if at.After(s.last) {
				s.last = at
			}
			s.chunks[i].at = s.last
		}
	}
	s.mu.Unlock()
	s.notify()
}

// drop discards the held data.
func (s *stream) drop() {
	s.mu.Lock()
	for i, c := range s.chunks {
		if c.held {
			s.chunks = s.chunks[:i]
			break
		}
	}
	s.mu.Unlock()
}
