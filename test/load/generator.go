package load

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// patience is the time limit for answers after the load has ended.
const patience = time.Minute

// Sample has the measurements of a run.
type Sample struct {
	OK        int             // whole answers of status 200
	Failed    int             // everything else
	Failure   error           // the first of them
	Elapsed   time.Duration   // from the first request to the last answer
	Latencies []time.Duration // of the OK, in no order
}

// PerSecond returns the number of answers a second.
func (s *Sample) PerSecond() float64 { return float64(s.OK) / max(s.Elapsed, 1).Seconds() }

// Generator is a number of connections to a relay over HTTP/1.1. It has its own client, with one goroutine for each
// connection and no allocations for requests. It implements just enough of HTTP for answers with a Content-Length.
//
// An answer counts as OK if its status is 200 and it is complete; everything else counts as a failure.
type Generator struct {
	conns []*conn
}

// Target is the target of registrations.
type Target struct {
	Addr string // host:port
	Gzip bool   // with Accept-Encoding: gzip, as the HTTP clients of Go and Node send it
}

// Dial opens n connections. The caller must close the generator, after the last run.
func Dial(ctx context.Context, to Target, n int) (*Generator, error) {
	g := &Generator{}
	for range n {
		c := newConn(to)
		if err := c.dial(ctx); err != nil {
			g.Close()
			return nil, fmt.Errorf("connect to the relay: %w", err)
		}
		g.conns = append(g.conns, c)
	}
	return g, nil
}

// Close closes the connections.
func (g *Generator) Close() {
	for _, c := range g.conns {
		_ = c.net.Close() // it may be closed
	}
}

// Once sends a registration over a new connection.
func Once(ctx context.Context, to Target) error {
	g, err := Dial(ctx, to, 1)
	if err != nil {
		return err
	}
	defer g.Close()
	s, err := g.Run(ctx, 0, nil)
	return errors.Join(err, s.Failure)
}

// Run forgets the last run, runs a loop over the connections for the time d, and adds up. Without times the loop is
// closed. With times it is open, and latencies count from the time at which a registration was due, so waiting for a
// free connection or for a late generator is included. If ctx ends no more registrations are sent. Answers are waited for
// until ctx's deadline, and for a minute at most after the time d.
func (g *Generator) Run(ctx context.Context, d time.Duration, times iter.Seq[time.Duration]) (s Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	deadline, _ := ctx.Deadline()
	for _, c := range g.conns {
		_ = c.net.SetDeadline(deadline) // it may be closed
		c.sample = Sample{Latencies: c.sample.Latencies[:0]}
	}
	start := time.Now()
	if times == nil {
		Closed(ctx, g.conns, d)
	} else {
		err = Open(ctx, g.conns, times)
	}
	s.Elapsed = time.Since(start)
	for _, c := range g.conns {
		s.Latencies = append(s.Latencies, c.sample.Latencies...)
		s.Failed += c.sample.Failed
		s.Failure = cmp.Or(s.Failure, c.sample.Failure)
	}
	s.OK = len(s.Latencies)
	if s.OK+s.Failed == 0 {
		s.Failure = errors.New("nothing was sent")
	}
	return s, err
}

// conn sends one registration at a time.
type conn struct {
	addr    string
	request []byte // all of it; the digits of the user id change
	digits  []byte // of the user id, within request
	next    uint64 // user id
	in      *bufio.Reader
	net     net.Conn
	broken  bool // the next registration dials anew
	sample  Sample
}

func newConn(to Target) *conn {
	const start, digits, end = `{"userId":"auth0|`, "000000000000000000000000", `"}` // as many digits as Auth0 has
	gzip := ""
	if to.Gzip {
		gzip = "Accept-Encoding: gzip\r\n"
	}
	request := fmt.Appendf(nil, "POST /api/RegisterUser HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		to.Addr, gzip, len(start+digits+end), start+digits+end)
	at := len(request) - len(digits+end)
	return &conn{addr: to.Addr, request: request, digits: request[at : at+len(digits)], next: rand.Uint64()} //nolint:gosec // G404: user ids need only differ
}

func (c *conn) dial(ctx context.Context) error {
	n, err := new(net.Dialer).DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	c.net, c.in, c.broken = n, bufio.NewReader(n), false
	deadline, _ := ctx.Deadline()
	return n.SetDeadline(deadline)
}

// Send sends a registration that was due at at, and records the time from then to the answer. It returns after the
// answer.
func (c *conn) Send(ctx context.Context, at time.Time) (done time.Time) {
	err := c.exchange(ctx)
	done = time.Now()
	if err == nil {
		c.sample.Latencies = append(c.sample.Latencies, done.Sub(at))
		return done
	}
	_ = c.net.Close() // it may be closed
	c.broken = true
	c.sample.Failed++
	c.sample.Failure = cmp.Or(c.sample.Failure, err)
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

var errAnswer = errors.New("not an HTTP/1.1 answer with a Content-Length")

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
