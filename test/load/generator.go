package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// Dial opens n connections. The caller must close the generator.
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
		c.close()
	}
}

// Once sends a registration over a new connection.
func Once(ctx context.Context, to Target) error {
	g, err := Dial(ctx, to, 1)
	if err != nil {
		return err
	}
	defer g.Close()
	s := g.Closed(ctx, 0)
	return s.Failure
}

// Closed runs a closed loop over the connections. If ctx ends the run ends early, and requests in flight fail.
func (g *Generator) Closed(ctx context.Context, d time.Duration) Sample {
	s, _ := g.run(ctx, d, func(ctx context.Context) error {
		Closed(ctx, g.conns, d)
		return nil
	})
	return s
}

// Open runs an open loop over the connections. Latencies count from the time at which a registration was due, so
// waiting for a free connection or for a late generator is included. If ctx ends the run ends early, and requests in
// flight fail.
func (g *Generator) Open(ctx context.Context, times []time.Duration) (Sample, error) {
	return g.run(ctx, slices.Max(append(times, 0)), func(ctx context.Context) error { return Open(ctx, g.conns, slices.Values(times)) })
}

// run forgets the last run, runs another one of length d, and adds up the measurements of the connections.
func (g *Generator) run(ctx context.Context, d time.Duration, f func(context.Context) error) (s Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	stop := context.AfterFunc(ctx, g.Close)
	defer stop()
	for _, c := range g.conns {
		c.latencies, c.failed, c.failure = c.latencies[:0], 0, nil
	}
	start := time.Now()
	err = f(ctx)
	s.Elapsed = time.Since(start)
	for _, c := range g.conns {
		s.Latencies = append(s.Latencies, c.latencies...)
		s.Failed += c.failed
		if s.Failure == nil {
			s.Failure = c.failure
		}
	}
	s.OK = len(s.Latencies)
	if s.OK+s.Failed == 0 {
		s.Failure = errors.New("nothing was sent")
	}
	return s, err
}
