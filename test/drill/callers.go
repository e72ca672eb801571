package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"userrelay/test/drill/audit"
	"userrelay/test/load"
)

const (
	// A caller's time limit. The handler answers within 4 s; the host makes requests wait for a handler that starts.
	patience    = 20 * time.Second
	discouraged = 50 * time.Millisecond // how long a caller waits after an event was not stored
	// Events of an open loop: 500 a second, each answered within 4 s.
	mostAtOnce = 2048
	pollLimit  = time.Minute
)

// callers send events, each once with a unique id, and record the answers.
type callers struct {
	client *http.Client
	target string // URL
	name   string // prefix of ids
	sent   atomic.Int64
	stored atomic.Int64 // answered 200 or 202

	mu       sync.Mutex
	outcomes []audit.Outcome
}

func newCallers(target, name string) *callers {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: mostAtOnce, DisableCompression: true}}
	return &callers{client: client, target: target, name: name}
}

// all returns the outcomes so far.
func (c *callers) all() []audit.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.outcomes)
}

// since returns the outcomes of events that were due in a time span.
func (c *callers) since(from, to time.Time) []audit.Outcome {
	return slices.DeleteFunc(c.all(), func(o audit.Outcome) bool { return o.Start.Before(from) || !o.Start.Before(to) })
}

// during runs n callers, each with one event in flight, while f runs. It returns when all have ended.
func (c *callers) during(ctx context.Context, n int, f func(context.Context) error) error {
	const forever = 1000 * time.Hour
	return while(ctx, f, func(ctx context.Context) error {
		load.Closed(ctx, slices.Repeat([]*callers{c}, n), forever)
		return nil
	})
}

// atRate sends events at a steady rate while f runs, whether or not earlier ones are answered.
func (c *callers) atRate(ctx context.Context, perSecond int, f func(context.Context) error) error {
	return while(ctx, f, func(ctx context.Context) error {
		return load.Open(ctx, slices.Repeat([]*callers{c}, mostAtOnce), load.Steady(time.Second/time.Duration(perSecond)))
	})
}

// while runs f and concurrently another function, whose context ends with f.
func while(ctx context.Context, f, beside func(context.Context) error) error {
	loading, stop := context.WithCancel(ctx)
	var running errgroup.Group
	running.Go(func() error { return beside(loading) })
	err := f(ctx)
	stop()
	return errors.Join(err, running.Wait())
}

// Send sends the next event. After an event that is not stored a caller waits before the next one.
func (c *callers) Send(ctx context.Context, due time.Time) time.Time {
	if o := c.send(ctx, due); !o.Stored() {
		_ = pause(ctx, discouraged)
	}
	return time.Now()
}

// send sends the next event and records its outcome. A request in flight goes on when ctx ends, because its outcome
// counts.
func (c *callers) send(ctx context.Context, due time.Time) audit.Outcome {
	o := audit.Outcome{ID: fmt.Sprintf("%s-%d", c.name, c.sent.Add(1)), Start: due, Place: audit.Place{Offset: -1}}
	status, header, body := c.request(context.WithoutCancel(ctx), http.MethodPost, c.target, `{"userId":"auth0|`+o.ID+`","eventId":"`+o.ID+`"}`)
	o.Took, o.Status, o.RetryAfter = time.Since(due), status, header.Get("Retry-After") != ""
	if status == http.StatusOK {
		_ = json.Unmarshal(body, &o.Place) // an answer without a place gives none that a record can have
	}
	if o.Stored() {
		c.stored.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes = append(c.outcomes, o)
	return o
}

// request sends a request once. Without a complete answer the status is 0.
func (c *callers) request(ctx context.Context, method, url, body string) (status int, header http.Header, answer []byte) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, nil, nil
	}
	answer, err = io.ReadAll(resp.Body)
	if errors.Join(err, resp.Body.Close()) != nil {
		return 0, nil, nil
	}
	return resp.StatusCode, resp.Header, answer
}

// pause waits for a time, and returns an error when ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poll calls f repeatedly until it returns true, for a minute at most.
func poll(ctx context.Context, what string, f func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pollLimit, fmt.Errorf("%s: not in %v", what, pollLimit))
	defer cancel()
	for !f(ctx) {
		if pause(ctx, 20*time.Millisecond) != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
