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
)

// callers send events, each once with a unique id, and record the answers.
type callers struct {
	client *http.Client
	url    string
	name   string // prefix of ids
	sent   atomic.Int64
	stored atomic.Int64 // answered 200 or 202

	mu       sync.Mutex
	outcomes []audit.Outcome
}

func newCallers(url, name string) *callers {
	return &callers{url: url, name: name, client: newClient()}
}

func newClient() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: mostAtOnce, DisableCompression: true}}
}

func (c *callers) close() { c.client.CloseIdleConnections() }

// all returns the outcomes so far.
func (c *callers) all() []audit.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clip(c.outcomes)
}

// since returns the outcomes of events that were due in a time span.
func (c *callers) since(from, to time.Time) []audit.Outcome {
	var some []audit.Outcome
	for _, o := range c.all() {
		if !o.Start.Before(from) && o.Start.Before(to) {
			some = append(some, o)
		}
	}
	return some
}

// during runs n callers, each with one event in flight, while f runs. It returns when all have ended.
func (c *callers) during(ctx context.Context, n int, f func(context.Context) error) error {
	return while(ctx, f, func(ctx context.Context) error {
		const forever = 1000 * time.Hour
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
	if !c.send(ctx, due).Stored() {
		_ = pause(ctx, discouraged)
	}
	return time.Now()
}

// send sends the next event and records its outcome. A request in flight goes on when ctx ends, because its outcome
// counts.
func (c *callers) send(ctx context.Context, due time.Time) *audit.Outcome {
	id := fmt.Sprintf("%s-%d", c.name, c.sent.Add(1))
	o := audit.Outcome{ID: id, Start: due, Offset: -1}
	a, err := post(context.WithoutCancel(ctx), c.client, c.url, "", strings.NewReader(`{"userId":"auth0|`+id+`","eventId":"`+id+`"}`))
	o.Took = time.Since(due)
	if err == nil {
		o.Status, o.RetryAfter = a.status, a.header.Get("Retry-After") != ""
		at := struct {
			Partition int32 `json:"partition"`
			Offset    int64 `json:"offset"`
		}{Offset: -1}
		if a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &at) == nil {
			o.Partition, o.Offset = at.Partition, at.Offset
		}
	}
	if o.Stored() {
		c.stored.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes = append(c.outcomes, o)
	return &o
}

// answer is the answer to a caller.
type answer struct {
	status int
	header http.Header
	body   string
}

// post sends a registration once, with an Idempotency-Key if key is not "". An incomplete answer is an error.
func post(ctx context.Context, client *http.Client, url, key string, body io.Reader) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body) //nolint:gosec // G704: the address is ours
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
		req.GetBody = nil // or net/http would try again on its own
	}
	resp, err := client.Do(req) //nolint:gosec // G704: the address is ours
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return &answer{resp.StatusCode, resp.Header, string(got)}, nil
}

// pause waits for a time, and returns an error when ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poll calls f repeatedly until it returns true, fails, or the limit is over, which is also an error.
func poll(ctx context.Context, what string, limit time.Duration, f func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: not in %v", what, limit))
	defer cancel()
	for {
		ok, err := f(ctx)
		if ok {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return context.Cause(ctx)
		}
	}
}
