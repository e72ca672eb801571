package functions

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
)

// gate bounds what is in work at a time.
type gate struct {
	maxRequests, maxBytes int64

	requests, bytes atomic.Int64
}

// enter takes a place for a request; leave gives it back.
func (g *gate) enter() bool { return take(&g.requests, 1, g.maxRequests) }

func (g *gate) leave() { g.requests.Add(-1) }

func take(used *atomic.Int64, n, limit int64) bool {
	if used.Add(n) > limit {
		used.Add(-n)
		return false
	}
	return true
}

const (
	smallBody = 512      // bytes; room for {"userId": …} where the length is not known
	firstRoom = 16 << 10 // bytes taken at once for a body that says how long it is
)

// readBody reads the body, or says why not. Memory is taken as bytes arrive, not as they are announced: a sender that
// announces much and sends little holds little. release gives it back, and must be called.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), p *problem) {
	held := int64(0)
	release = func() { h.gate.bytes.Add(-held) }

	src := http.MaxBytesReader(w, r.Body, MaxBody)
	room := int64(smallBody)
	if r.ContentLength >= 0 {
		room = min(r.ContentLength+1, firstRoom) // one more than announced, to see the end in one read
	}
	for {
		if len(body) == cap(body) {
			if !take(&h.gate.bytes, room, h.gate.maxBytes) {
				return nil, release, busy()
			}
			held += room
			body = append(make([]byte, 0, int64(cap(body))+room), body...)
			room = int64(cap(body))
		}
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, release, nil
		case err != nil:
			w.Header().Set("Connection", "close") // what follows on it is the rest of this body
			return nil, release, unread(err)
		}
	}
}

// unread is the answer to a body that could not be read.
func unread(err error) *problem {
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLong:
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem{Status: http.StatusRequestTimeout, Type: "timeout", Detail: "body: did not arrive in time. Send the registration again."}
	default:
		return &problem{Status: http.StatusBadRequest, Type: "incomplete", Detail: "body: did not arrive whole."}
	}
}
