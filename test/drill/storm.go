package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
	"userrelay/test/faultproxy"
)

const (
	keysAtOnce  = 8
	impatient   = 200 * time.Millisecond // at most, of a caller's first tries
	shortTries  = 2
	maxTries    = 50
	otherUsers  = 50 // used keys that are tried under another user's id
	withoutKeys = 200
)

// answer is what a caller of the storm got in the end.
type answer struct {
	status int
	body   string
}

// stormy sends requests through a proxy that cuts connections.
type stormy struct {
	client   *http.Client
	url      string
	tries    atomic.Int64
	replayed atomic.Int64
}

// storm sends every event many times at once.
func storm(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	proxy, err := faultproxy.Listen(faultproxy.Options{Framing: faultproxy.Bytes, Target: s.config.Addr, Seed: 1}) //nolint:contextcheck // the connections of a proxy have a life of their own
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	cuts := faultproxy.Faults{Rules: []faultproxy.Rule{{
		Key: faultproxy.Any, Share: 0.05, Do: []faultproxy.Action{faultproxy.CutBefore, faultproxy.CutAfter, faultproxy.CutOnAnswer},
	}}}
	if err := proxy.SetFaults(cuts); err != nil { //nolint:contextcheck // the connections of a proxy have a life of their own
		return err
	}
	c := &stormy{client: newClient(), url: strings.Replace(s.url("RegisterUser"), s.config.Addr, proxy.Addr(), 1)}
	defer c.client.CloseIdleConnections()

	different, err := c.keys(ctx, r)
	if err != nil {
		return err
	}
	wrong, err := c.others(ctx, min(otherUsers, r.plan.keys))
	if err != nil {
		return err
	}
	// From here on a try that is cut would be one more record.
	if err := proxy.SetFaults(faultproxy.Faults{}); err != nil { //nolint:contextcheck // the connections of a proxy have a life of their own
		return err
	}
	unstored, err := c.withoutKey(ctx)
	if err != nil {
		return err
	}
	left, err := s.drained(ctx, r.plan.drain)
	if err != nil {
		return err
	}
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	byID, keyless := map[string]int{}, 0
	for i := range records {
		if string(records[i].Key) == keylessUser {
			keyless++
			continue
		}
		byID[audit.ID(&records[i])]++
	}
	row.Count("messages left in the outbox after "+report.Span(r.plan.drain), left, 0)
	row.Exactly("events in the topic", len(byID), r.plan.keys)
	row.Exactly("their records", len(records)-keyless, r.plan.keys)
	row.Count("keys of which callers got different answers", different, 0)
	row.Count("answers other than 422 to another user's id under a used key", wrong, 0)
	row.Count("requests without a key that were not answered 2xx", unstored, 0)
	row.Exactly("records of requests without a key", keyless, withoutKeys)
	row.Note("%d callers got their answers in %d tries; %d connections were cut; %d answers were marked as replayed.",
		r.plan.keys*r.plan.repeats, c.tries.Load(), proxy.Stats().Cuts(), c.replayed.Load())
	return nil
}

// keys sends every key many times at once, and returns for how many the answers differ.
func (c *stormy) keys(ctx context.Context, r *rig) (different int, err error) {
	var (
		mu      sync.Mutex
		errs    []error
		running sync.WaitGroup
		slots   = make(chan struct{}, keysAtOnce)
		told    = time.Now()
	)
	for k := range r.plan.keys {
		slots <- struct{}{}
		if time.Since(told) >= 5*time.Second {
			r.say("  %d keys, %d tries", k, c.tries.Load())
			told = time.Now()
		}
		running.Go(func() {
			defer func() { <-slots }()
			seen, err := c.repeats(ctx, k, r.plan.repeats)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			}
			if len(seen) != 1 {
				different++
			}
		})
	}
	running.Wait()
	return different, errors.Join(errs...)
}

// repeats sends one key n times at once, and returns the answers that there were.
func (c *stormy) repeats(ctx context.Context, k, n int) (map[answer]int, error) {
	var (
		mu      sync.Mutex
		errs    []error
		callers sync.WaitGroup
		seen    = map[answer]int{}
	)
	for range n {
		callers.Go(func() {
			a, err := c.insist(ctx, stormKey(k), stormUser(k))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			seen[a]++
		})
	}
	callers.Wait()
	return seen, errors.Join(errs...)
}

// insist tries until there is an answer. 5xx is none: it asks for another try.
func (c *stormy) insist(ctx context.Context, key, user string) (answer, error) {
	for try := range maxTries {
		limit := patience
		if try < shortTries {
			limit = rand.N(impatient) //nolint:gosec // G404: patience is no secret
		}
		a, err := c.try(ctx, limit, key, user)
		if err == nil && a.status < http.StatusInternalServerError {
			return a, nil
		}
		if err := pause(ctx, rand.N(discouraged)); err != nil { //nolint:gosec // G404: patience is no secret
			return answer{}, err
		}
	}
	return answer{}, fmt.Errorf("no answer to key %s in %d tries", key, maxTries)
}

func (c *stormy) try(ctx context.Context, limit time.Duration, key, user string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(`{"userId":"`+user+`"}`))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	req.GetBody = nil // or net/http would try again on its own
	c.tries.Add(1)
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return answer{}, err
	}
	if resp.Header.Get("Idempotency-Replayed") != "" {
		c.replayed.Add(1)
	}
	return answer{resp.StatusCode, string(body)}, nil
}

// others sends used keys with the ids of other users, and returns how many answers are not 422.
func (c *stormy) others(ctx context.Context, n int) (wrong int, err error) {
	for k := range n {
		a, err := c.insist(ctx, stormKey(k), "auth0|somebody-else")
		if err != nil {
			return wrong, err
		}
		if a.status != http.StatusUnprocessableEntity {
			wrong++
		}
	}
	return wrong, nil
}

const keylessUser = "auth0|keyless"

// withoutKey sends the same registration again and again, and returns how many requests were not answered 2xx.
func (c *stormy) withoutKey(ctx context.Context) (unstored int, err error) {
	for range withoutKeys {
		a, err := c.try(ctx, patience, "", keylessUser)
		if err != nil {
			return unstored, err
		}
		if a.status != http.StatusOK && a.status != http.StatusAccepted {
			unstored++
		}
	}
	return unstored, nil
}

func stormKey(k int) string  { return fmt.Sprintf("storm-%d", k) }
func stormUser(k int) string { return fmt.Sprintf("auth0|storm-%d", k) }
