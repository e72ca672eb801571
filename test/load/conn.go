package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	userIDDigits = 24   // as Auth0 makes them
	maxAnswer    = 8192 // bytes, headers included
)

var (
	errAnswer   = errors.New("not an HTTP/1.1 answer with a Content-Length")
	errTooLarge = fmt.Errorf("an answer of more than %d bytes", maxAnswer)
)

// statusError is an answer other than 200.
type statusError int

func (e statusError) Error() string { return "status " + strconv.Itoa(int(e)) }

// conn sends one registration at a time.
type conn struct {
	target  Target
	request []byte // all of it; the digits of the user id change
	digits  []byte // of the user id, within request
	next    uint64 // user id
	answer  [maxAnswer]byte

	latencies []time.Duration
	failed    int
	failure   error // the first

	mu       sync.Mutex // guards what interrupt needs; the rest belongs to one goroutine at a time
	net      net.Conn   // nil after a failure
	deadline time.Time
}

func newConn(to Target) *conn {
	const idStart = `{"userId":"auth0|`
	bodyLen := len(idStart) + userIDDigits + len(`"}`)
	head := "POST /api/RegisterUser HTTP/1.1\r\nHost: " + to.Addr + "\r\nContent-Type: application/json\r\n"
	if to.Gzip {
		head += "Accept-Encoding: gzip\r\n"
	}
	head += "Content-Length: " + strconv.Itoa(bodyLen) + "\r\n\r\n" + idStart
	c := &conn{target: to, request: make([]byte, len(head)+userIDDigits, len(head)+bodyLen)}
	copy(c.request, head)
	c.digits = c.request[len(head):]
	c.request = append(c.request, `"}`...)
	hex.Encode(c.digits, make([]byte, userIDDigits/2))
	c.next = rand.Uint64() //nolint:gosec // G404: user ids need only differ
	return c
}

func (c *conn) dial(ctx context.Context) error {
	var d net.Dialer
	n, err := d.DialContext(ctx, "tcp", c.target.Addr)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.net = n
	return n.SetDeadline(c.deadline)
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.net != nil {
		_ = c.net.Close() // nothing is under way on it
		c.net = nil
	}
}

// reset forgets the measurements of the last run.
func (c *conn) reset(deadline time.Time) {
	c.latencies, c.failed, c.failure = c.latencies[:0], 0, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = deadline
	if c.net != nil {
		_ = c.net.SetDeadline(deadline) // a broken connection tells at the next request
	}
}

// interrupt ends the connection's current wait, and prevents further waits until reset.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = time.Unix(1, 0)
	if c.net != nil {
		_ = c.net.SetDeadline(c.deadline) // closed meanwhile is as good
	}
}

// Send sends a registration that was due at at, and records the time from then to the answer. It returns after the
// answer.
func (c *conn) Send(ctx context.Context, at time.Time) (done time.Time) {
	err := c.exchange(ctx)
	done = time.Now()
	if err == nil {
		c.latencies = append(c.latencies, done.Sub(at))
		return done
	}
	c.close() // the next registration dials anew
	c.failed++
	if c.failure == nil {
		c.failure = err
	}
	return done
}

func (c *conn) exchange(ctx context.Context) error {
	if c.net == nil {
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	c.next++
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], c.next)
	hex.Encode(c.digits, id[:])
	if _, err := c.net.Write(c.request); err != nil {
		return fmt.Errorf("send a registration: %w", err)
	}
	for n := 0; ; {
		m, err := c.net.Read(c.answer[n:])
		n += m
		whole, perr := parse(c.answer[:n])
		switch {
		case whole || perr != nil:
			return perr
		case err != nil:
			return fmt.Errorf("wait for the answer: %w", err)
		case n == len(c.answer):
			return errTooLarge
		}
	}
}

// parse says whether b is a complete answer, and returns its error.
func parse(b []byte) (whole bool, err error) {
	const proto, length = "HTTP/1.1 ", "content-length: "
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return false, nil
	}
	status, ok := cutNumber(b, proto)
	if !ok {
		return false, errAnswer
	}
	for line := range bytes.SplitSeq(b[:end], []byte("\r\n")) {
		if len(line) < len(length) || !bytes.EqualFold(line[:len(length)], []byte(length)) {
			continue
		}
		size, ok := cutNumber(line[len(length):], "")
		if !ok || len(b) > end+4+size {
			return false, errAnswer
		}
		if len(b) < end+4+size {
			return false, nil
		}
		if status != 200 {
			return true, statusError(status)
		}
		return true, nil
	}
	return false, errAnswer
}

// cutNumber reads the digits after prefix, at most 6 of them.
func cutNumber(b []byte, prefix string) (n int, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(prefix))
	if !ok {
		return 0, false
	}
	i := 0
	for ; i < len(b) && i <= 6 && '0' <= b[i] && b[i] <= '9'; i++ {
		n = 10*n + int(b[i]-'0')
	}
	return n, 1 <= i && i <= 6
}
