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
)

// session is a client's connection with its connection to the target. One goroutine forwards requests, another one
// delivers answers. Its lock may be taken while the proxy's is held, but not the reverse.
type session struct {
	proxy  *Proxy
	client *net.TCPConn
	cancel context.CancelFunc
	silent atomic.Bool

	mu     sync.Mutex
	target net.Conn // nil until dialled
	ended  bool
	cut    map[int32]bool // the correlation ids of answers at which the connection is cut
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
	s.mu.Lock()
	s.target = conn
	if s.ended {
		_ = conn.Close() // nothing was written
	}
	s.mu.Unlock()
	var asking sync.WaitGroup
	asking.Go(func() { s.ask(ctx) })
	s.end(s.answer(ctx))
	asking.Wait()
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

// pass waits while nothing may pass. It returns false if the session has ended.
func (s *session) pass(ctx context.Context) bool {
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

// ask forwards the client's requests until the client disconnects or the session ends.
func (s *session) ask(ctx context.Context) {
	r := bufio.NewReaderSize(s.client, bufferSize)
	for {
		data, err := frame(r, requestHead)
		if err != nil {
			s.end(false)
			return
		}
		key := int16(binary.BigEndian.Uint16(data[4:]))
		s.proxy.count(key)
		if !s.pass(ctx) {
			return
		}
		act := s.proxy.decide(key)
		switch act {
		case CutBefore:
			s.end(s.proxy.did(act))
			return
		case Silence:
			s.silent.Store(true)
			s.proxy.did(act)
			_, _ = io.Copy(io.Discard, r) // until the client leaves
			s.end(false)
			return
		case CutAfter:
			s.silent.Store(true) // the answer may be faster than the cut
		case CutOnAnswer:
			s.mu.Lock()
			s.cut[int32(binary.BigEndian.Uint32(data[8:]))] = true
			s.mu.Unlock()
		case forward:
		}
		if _, err := s.target.Write(data); err != nil {
			return // answer hears of it too, after the answers that came before
		}
		if act == CutAfter {
			s.end(s.proxy.did(act))
			return
		}
	}
}

// answer delivers answers until the target disconnects, the connection must be cut or the session ends. It says
// whether the client's connection must be reset.
func (s *session) answer(ctx context.Context) (reset bool) {
	r := bufio.NewReaderSize(s.target, bufferSize)
	for {
		data, err := frame(r, answerHead)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(s.proxy.delay()):
		}
		if !s.pass(ctx) {
			return false
		}
		if err != nil {
			return errors.Is(err, syscall.ECONNRESET)
		}
		s.mu.Lock()
		cut := s.cut[int32(binary.BigEndian.Uint32(data[4:]))]
		s.mu.Unlock()
		if cut {
			return s.proxy.did(CutOnAnswer)
		}
		if _, err := s.client.Write(data); err != nil {
			return false
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
