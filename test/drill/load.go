package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/test/drill/audit"
)

const (
	// A caller's patience. The handler answers within 4 s; the host makes requests wait for a handler that starts.
	patience = 20 * time.Second
	// A caller whose event is not stored does not try the next one at once.
	discouraged = 50 * time.Millisecond
)

// load sends events, each with an id of its own and once, and notes what their callers saw.
type load struct {
	client *http.Client
	url    string
	name   string // what ids begin with
	sent   atomic.Int64
	stored atomic.Int64 // answered 200 or 202

	mu       sync.Mutex
	outcomes []audit.Outcome
}

func newLoad(url, name string) *load {
	return &load{url: url, name: name, client: newClient()}
}

func newClient() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 1 << 10, DisableCompression: true}}
}

func (l *load) close() { l.client.CloseIdleConnections() }

// all returns the outcomes so far.
func (l *load) all() []audit.Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.outcomes)
}

// since returns the outcomes of events that were due from a time on, and before another.
func (l *load) since(from, to time.Time) []audit.Outcome {
	var some []audit.Outcome
	for _, o := range l.all() {
		if !o.Start.Before(from) && o.Start.Before(to) {
			some = append(some, o)
		}
	}
	return some
}

// during runs n callers, each with one event under way at a time, while f runs. It returns when all have an end.
func (l *load) during(ctx context.Context, n int, f func(context.Context) error) error {
	return while(ctx, f, func(ctx context.Context) {
		var callers sync.WaitGroup
		for range n {
			callers.Go(func() {
				for ctx.Err() == nil {
					if status := l.send(ctx, time.Now()); status != http.StatusOK && status != http.StatusAccepted {
						_ = pause(ctx, discouraged)
					}
				}
			})
		}
		callers.Wait()
	})
}

// atRate sends events at a steady rate while f runs, whether earlier ones are answered or not.
func (l *load) atRate(ctx context.Context, perSecond int, f func(context.Context) error) error {
	return while(ctx, f, func(ctx context.Context) {
		var requests sync.WaitGroup
		defer requests.Wait()
		every := time.Second / time.Duration(perSecond)
		start := time.Now()
		for i := 0; ; i++ {
			due := start.Add(time.Duration(i) * every)
			if pause(ctx, time.Until(due)) != nil {
				return
			}
			requests.Go(func() { l.send(ctx, due) })
		}
	})
}

// while runs f, and beside it the load, whose context ends with f.
func while(ctx context.Context, f func(context.Context) error, load func(context.Context)) error {
	loading, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { load(loading) })
	err := f(ctx)
	stop()
	running.Wait()
	return err
}

// send sends the next event, notes its outcome and returns the answer's status. A request that has begun goes on when ctx
// ends: its outcome counts.
func (l *load) send(ctx context.Context, due time.Time) int {
	id := fmt.Sprintf("%s-%d", l.name, l.sent.Add(1))
	o := audit.Outcome{ID: id, Start: due, Offset: -1}
	body := `{"userId":"auth0|` + id + `","eventId":"` + id + `"}`
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, l.url, strings.NewReader(body)) //nolint:gosec // G704: the address is ours
	if err != nil {
		panic(err) // the address is ours
	}
	req.Header.Set("Content-Type", "application/json")
	if resp, err := l.client.Do(req); err == nil { //nolint:gosec // G704: the address is ours
		l.read(resp, &o)
	}
	o.Took = time.Since(due)
	if o.Stored() {
		l.stored.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes = append(l.outcomes, o)
	return o.Status
}

// read notes an answer. One that breaks off is none.
func (l *load) read(resp *http.Response, o *audit.Outcome) {
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return
	}
	o.Status, o.RetryAfter = resp.StatusCode, resp.Header.Get("Retry-After") != ""
	if o.Status != http.StatusOK {
		return
	}
	at := struct {
		Partition int32 `json:"partition"`
		Offset    int64 `json:"offset"`
	}{Offset: -1}
	if json.Unmarshal(body, &at) == nil {
		o.Partition, o.Offset = at.Partition, at.Offset
	}
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

// poll calls f again and again until it says true, fails, or the limit is over, which is an error too.
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
