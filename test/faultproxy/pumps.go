package faultproxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"time"
)

// ask forwards the client's requests until the client disconnects or the session ends.
func (s *session) ask(ctx context.Context) {
	r := bufio.NewReaderSize(s.client, bufferSize)
	var buf []byte
	for {
		req, err := readRequest(r, s.proxy.framing, buf)
		if err != nil {
			s.clientLeft(err)
			return
		}
		buf = req.data
		act, ok := s.admit(ctx, req)
		if !ok {
			return
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
		case forward, CutOnAnswer:
		}
		if _, err := s.target.Write(req.data); err != nil {
			return // listen hears of it too, after the answers that came before
		}
		if act == CutAfter {
			s.end(s.proxy.did(act))
			return
		}
	}
}

// admit notes a request, waits while nothing may pass, and returns the action. It returns false if the session has
// ended.
func (s *session) admit(ctx context.Context, req request) (Action, bool) {
	begins := s.expect(req.id)
	if begins {
		s.proxy.count(req.key)
	}
	if !s.open(ctx) {
		return forward, false
	}
	if !begins {
		return forward, true
	}
	act := s.proxy.decide(req.key)
	if act == CutOnAnswer {
		s.mark(req.id)
	}
	return act, true
}

// expect notes that a request waits for its answer. It returns false if the bytes only continue the previous request.
func (s *session) expect(id int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proxy.framing == Bytes && len(s.waiting) > 0 {
		return false
	}
	s.waiting = append(s.waiting, waiting{id: id})
	return true
}

// mark sets the connection to be cut when the answer to the request arrives.
func (s *session) mark(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.waiting {
		if s.waiting[i].id == id {
			s.waiting[i].cut = true
		}
	}
}

func (s *session) clientLeft(err error) {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if t, ok := s.target.(*net.TCPConn); ok {
			_ = t.CloseWrite() // answers may still come; an error means that the target left too
		}
	case errors.Is(err, errMalformed):
		s.proxy.malformed()
		s.end(false)
	default:
		s.end(false)
	}
}

// listen reads answers until the target disconnects, the connection must be cut or the session ends.
func (s *session) listen(ctx context.Context) {
	a := answerReader{r: bufio.NewReaderSize(s.target, bufferSize), framing: s.proxy.framing}
	for {
		data, first, last, err := a.next()
		due, drip := s.proxy.timing()
		p := piece{data: data, due: due, drip: drip}
		switch {
		case errors.Is(err, errMalformed):
			s.proxy.malformed()
		case err != nil:
			p.reset = errors.Is(err, syscall.ECONNRESET)
		case first:
			p.cut = s.toCut(a.id)
		}
		if err != nil || p.cut {
			p.data = nil
		}
		s.hold(a.id, last)
		select {
		case s.answers <- p:
		case <-ctx.Done():
			return
		}
		if p.data == nil {
			return
		}
	}
}

// toCut reports whether to cut the connection instead of delivering the answer that begins.
func (s *session) toCut(id int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.waiting, func(w waiting) bool { return w.id == id })
	return i >= 0 && s.waiting[i].cut
}

// hold notes that a piece waits for its time. If it is the last piece of an answer, its request and, because answers
// are in order, all earlier ones are answered.
func (s *session) hold(id int32, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
	if !last {
		return
	}
	if i := slices.IndexFunc(s.waiting, func(w waiting) bool { return w.id == id }); i >= 0 {
		s.waiting = slices.Delete(s.waiting, 0, i+1)
	}
}

// deliver passes answers on, each at its time, until the session ends.
func (s *session) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-s.answers:
			if !sleep(ctx, time.Until(p.due)) || !s.open(ctx) {
				return
			}
			if p.data == nil {
				if p.cut {
					p.reset = s.proxy.did(CutOnAnswer)
				}
				s.end(p.reset)
				return
			}
			if !s.write(ctx, p) {
				return
			}
		}
	}
}

// write delivers one piece. It reports false when the session has ended.
func (s *session) write(ctx context.Context, p piece) bool {
	step := len(p.data)
	if p.drip > 0 {
		step = 1
	}
	for chunk := range slices.Chunk(p.data, step) {
		if !sleep(ctx, p.drip) || !s.open(ctx) {
			return false
		}
		if _, err := s.client.Write(chunk); err != nil {
			s.end(false)
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	return true
}

// sleep returns false if the session ended during the sleep.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
