package load

import (
	"bufio"
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

const userIDDigits = 24 // as Auth0 makes them

var errAnswer = errors.New("not an HTTP/1.1 answer with a Content-Length")

// conn sends one registration at a time.
type conn struct {
	target  Target
	request []byte // all of it; the digits of the user id change
	digits  []byte // of the user id, within request
	next    uint64 // user id
	in      *bufio.Reader
	broken  bool // the next registration dials anew

	latencies []time.Duration
	failed    int
	failure   error // the first

	mu  sync.Mutex // guards the assignment of net; the rest belongs to one goroutine at a time
	net net.Conn
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
	n, err := new(net.Dialer).DialContext(ctx, "tcp", c.target.Addr)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.net = n
	c.mu.Unlock()
	c.in, c.broken = bufio.NewReader(n), false
	if ctx.Err() != nil { // close may have been called before there was anything to close
		c.close()
	}
	return nil
}

// close ends what is under way.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.net != nil {
		_ = c.net.Close() // it may be closed
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
	c.close()
	c.broken = true
	c.failed++
	if c.failure == nil {
		c.failure = err
	}
	return done
}

func (c *conn) exchange(ctx context.Context) error {
	if c.broken {
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
	return readAnswer(c.in)
}

// readAnswer reads a whole answer. Its error is that of the connection or of the answer, such as another status than
// 200.
func readAnswer(in *bufio.Reader) error {
	status, length := 0, -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("wait for the answer: %w", err)
		}
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		switch {
		case status == 0:
			status, err = strconv.Atoi(string(value[:min(3, len(value))]))
			if err != nil || string(name) != "HTTP/1.1" {
				return errAnswer
			}
		case len(name) == 0:
			if length < 0 {
				return errAnswer
			}
			if _, err := in.Discard(length); err != nil {
				return fmt.Errorf("wait for the answer: %w", err)
			}
			if status != 200 {
				return fmt.Errorf("status %d", status)
			}
			return nil
		case bytes.EqualFold(name, []byte("content-length:")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return errAnswer
			}
		}
	}
}
