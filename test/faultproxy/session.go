package faultproxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	bufferSize  = 32 << 10
	dialTimeout = 5 * time.Second
	maxFrame    = 128 << 20 // Kafka's socket.request.max.bytes is 100 MiB
	answerHead  = 8         // length, correlation id
	requestHead = 12        // length, kind, version, correlation id
	produce     = 0         // the kind (API key) of the requests that actions are for
)

// session is a client's connection with its connection to the target. One goroutine forwards requests, another one
// delivers answers.
type session struct {
	proxy  *Proxy
	client *net.TCPConn
	cancel context.CancelFunc // ends everything of the session
	ended  sync.Once
	silent atomic.Bool
	cutAt  atomic.Pointer[int32] // correlation id of the answer at which the connection is cut; nil: none
}

// run serves the connection until it has ended, and with it everything of the session.
func (s *session) run(ctx context.Context, target string) {
	defer s.end(false)
	if !s.pass(ctx) {
		return
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		s.end(true) // the closest to a refusal for an accepted connection
		return
	}
	var others sync.WaitGroup
	others.Go(func() { s.ask(ctx, conn) })
	others.Go(func() {
		<-ctx.Done()
		_ = conn.Close() // data that was sent to the target still arrives
	})
	s.answer(ctx, conn)
	others.Wait()
}

// end closes both connections, the client's with a RST if reset, unless they are closed.
func (s *session) end(reset bool) {
	s.ended.Do(func() {
		if reset {
			_ = s.client.SetLinger(0) // errors only say that the client was faster
		}
		_ = s.client.Close()
		s.cancel()
	})
}

// cut ends the session because of an action.
func (s *session) cut() {
	s.proxy.count(&s.proxy.stats.Cuts)
	f, _ := s.proxy.now()
	s.end(f.Reset)
}

// pass waits while nothing may pass. It returns false if the session has ended.
func (s *session) pass(ctx context.Context) bool {
	for {
		f, changed := s.proxy.now()
		if !f.BlackHole && !s.silent.Load() {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// ask forwards the client's requests until the client disconnects or the session ends.
func (s *session) ask(ctx context.Context, target net.Conn) {
	r := bufio.NewReaderSize(s.client, bufferSize)
	for {
		data, err := frame(r, requestHead)
		if err != nil {
			s.end(false)
			return
		}
		produces := binary.BigEndian.Uint16(data[4:]) == produce
		if produces {
			s.proxy.count(&s.proxy.stats.Produced)
		}
		if !s.pass(ctx) {
			return
		}
		act := forward
		if produces {
			act = s.proxy.draw()
		}
		switch act {
		case CutBefore:
			s.cut()
			return
		case Silence:
			s.silent.Store(true)
			s.proxy.count(&s.proxy.stats.Silenced)
			_, _ = io.Copy(io.Discard, r) // until the client leaves
			s.end(false)
			return
		case CutAfter:
			s.silent.Store(true) // the answer may be faster than the cut
		case CutOnAnswer:
			id := int32(binary.BigEndian.Uint32(data[8:]))
			s.cutAt.CompareAndSwap(nil, &id) // the first of several
		case forward:
		}
		if _, err := target.Write(data); err != nil {
			return // answer hears of it too, after the answers that came before
		}
		if act == CutAfter {
			s.cut()
			return
		}
	}
}

// answer delivers answers until the target disconnects or the session ends, and then ends the session.
func (s *session) answer(ctx context.Context, target net.Conn) {
	r := bufio.NewReaderSize(target, bufferSize)
	for {
		data, err := frame(r, answerHead)
		f, _ := s.proxy.now()
		select {
		case <-ctx.Done():
		case <-time.After(f.Delay):
		}
		if !s.pass(ctx) {
			return
		}
		if err != nil {
			s.end(errors.Is(err, syscall.ECONNRESET))
			return
		}
		if id := s.cutAt.Load(); id != nil && *id == int32(binary.BigEndian.Uint32(data[4:])) {
			s.cut()
			return
		}
		if _, err := s.client.Write(data); err != nil {
			s.end(false)
			return
		}
	}
}

// frame reads a request or an answer of Kafka's protocol, with its length and at least the given number of bytes.
func frame(r *bufio.Reader, least int) ([]byte, error) {
	head, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := 4 + int(binary.BigEndian.Uint32(head))
	if n < least || n > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes is not Kafka's", n)
	}
	data := make([]byte, n)
	_, err = io.ReadFull(r, data)
	return data, err
}
