package functions

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"

	"userrelay/handler/registration"
)

// gate limits how many requests are in progress at a time.
type gate struct {
	maxRequests, maxBytes int64

	requests, bytes atomic.Int64
}

// enter reserves a place for a request; leave releases it.
func (g *gate) enter() bool { return take(&g.requests, 1, g.maxRequests) }

func (g *gate) leave() { g.requests.Add(-1) }

func take(used *atomic.Int64, n, limit int64) bool {
	if used.Add(n) > limit {
		used.Add(-n)
		return false
	}
	return true
}

// upload is the body of a registration, and the memory that is held for it.
type upload struct {
	body io.Reader
	gate *gate
	left int64 // bytes that may still come
	held int64
}

var errTooLong = errors.New("the body is too long")

// Read reads up to the limit.
func (u *upload) Read(b []byte) (int, error) {
	if int64(len(b)) > u.left {
		b = b[:u.left+1] // one more, to see the end
	}
	n, err := u.body.Read(b)
	if u.left -= int64(n); u.left < 0 {
		return 0, errTooLong
	}
	return n, err //nolint:wrapcheck // a reader's errors are its own
}

// Take reserves memory, if there is enough left. release releases all of it.
func (u *upload) Take(n int) bool {
	if !take(&u.gate.bytes, int64(n), u.gate.maxBytes) {
		return false
	}
	u.held += int64(n)
	return true
}

func (u *upload) release() { u.gate.bytes.Add(-u.held) }

// unread is the answer to a body that could not be read.
func unread(err error) *problem {
	switch {
	case errors.Is(err, errTooLong):
		return tooLarge()
	case errors.Is(err, registration.ErrNoRoom):
		return busy()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem{Status: http.StatusRequestTimeout, Type: "timeout", Detail: "body: did not arrive in time. Send the registration again."}
	default:
		return &problem{Status: http.StatusBadRequest, Type: "incomplete", Detail: "body: arrived incomplete."}
	}
}
