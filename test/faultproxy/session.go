package faultproxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
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
	asked  bool           // with the framing Bytes: a request has come, and no answer yet
	cut    map[int32]bool // the correlation ids of answers at which the connection is cut
}

// run serves the connection until it has ended, and with it everything of the session.
func (s *session) run(ctx context.Context, target string) {
	defer s.end(false)
	if _, ok := s.pass(ctx); !ok {
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

// pass waits while nothing may pass, and returns the faults. It returns false if the session has ended.
func (s *session) pass(ctx context.Context) (Faults, bool) {
	for {
		f, changed := s.proxy.now()
		if !f.BlackHole && !s.silent.Load() {
			return f, ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return f, false
		case <-changed:
		}
	}
}

// ask forwards the client's requests until the client disconnects or the session ends.
func (s *session) ask(ctx context.Context) {
	r := bufio.NewReaderSize(s.client, bufferSize)
	for {
		data, err := s.next(r, requestHead)
		if err != nil {
			s.end(false)
			return
		}
		key, id := Any, int32(0)
		if s.proxy.framing == Kafka {
			key, id = int16(binary.BigEndian.Uint16(data[4:])), int32(binary.BigEndian.Uint32(data[8:]))
		}
		begins := s.begins()
		if begins {
			s.proxy.count(key)
		}
		if _, ok := s.pass(ctx); !ok {
			return
		}
		act := forward
		if begins {
			act = s.proxy.decide(key)
		}
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
			s.cut[id] = true
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

// begins notes a request. It returns false if the bytes only continue the previous one.
func (s *session) begins() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proxy.framing == Bytes && s.asked {
		return false
	}
	s.asked = true
	return true
}

// answered notes an answer, and says whether the connection must be cut instead of delivering it.
func (s *session) answered(data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = false
	id := int32(0)
	if s.proxy.framing == Kafka {
		id = int32(binary.BigEndian.Uint32(data[4:]))
	}
	return s.cut[id]
}

// answer delivers answers until the target disconnects, the connection must be cut or the session ends. It says
// whether the client's connection must be reset.
func (s *session) answer(ctx context.Context) (reset bool) {
	r := bufio.NewReaderSize(s.target, bufferSize)
	for {
		data, err := s.next(r, answerHead)
		f, ok := s.pass(ctx)
		if !ok || !sleep(ctx, f.Delay) {
			return false
		}
		if err != nil {
			return errors.Is(err, syscall.ECONNRESET)
		}
		if s.answered(data) {
			return s.proxy.did(CutOnAnswer)
		}
		if !s.deliver(ctx, data, f.DripEvery) {
			return false
		}
	}
}

// deliver returns false if the session has ended.
func (s *session) deliver(ctx context.Context, data []byte, drip time.Duration) bool {
	step := len(data)
	if drip > 0 {
		step = 1
	}
	for chunk := range slices.Chunk(data, step) {
		if !sleep(ctx, drip) {
			return false
		}
		if _, ok := s.pass(ctx); !ok {
			return false
		}
		if _, err := s.client.Write(chunk); err != nil {
			return false
		}
	}
	return true
}

// sleep returns false if the session ended during the sleep.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// next reads a request or an answer of at least the given length, or the bytes that there are.
func (s *session) next(r *bufio.Reader, least int) ([]byte, error) {
	if s.proxy.framing == Bytes {
		return available(r)
	}
	return frame(r, least)
}

// available waits for bytes and reads all available ones.
func available(r *bufio.Reader) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	data := make([]byte, r.Buffered())
	_, err := io.ReadFull(r, data)
	return data, err
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
