package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"userrelay/test/drill/report"
	"userrelay/test/faultproxy"
)

const (
	keysAtOnce  = 8
	impatient   = 200 * time.Millisecond // maximum, of a caller's first attempts
	shortTries  = 2
	maxTries    = 50
	otherUsers  = 50 // used keys that are tried with another user's id
	withoutKeys = 200
)

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
	// From here on a cut attempt would make another record.
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
		byID[records[i].Header("ce_id")]++
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

// keys sends every key many times concurrently, and returns for how many keys the answers differ.
func (c *stormy) keys(ctx context.Context, r *rig) (different int, err error) {
	var all errgroup.Group
	all.SetLimit(keysAtOnce)
	told := time.Now()
	answers := make([]map[string]bool, r.plan.keys)
	for k := range answers {
		if time.Since(told) >= 5*time.Second {
			r.say("  %d keys, %d tries", k, c.tries.Load())
			told = time.Now()
		}
		all.Go(func() (err error) {
			answers[k], err = c.repeats(ctx, k, r.plan.repeats)
			return err
		})
	}
	err = all.Wait()
	for _, a := range answers {
		if len(a) != 1 {
			different++
		}
	}
	return different, err
}

// repeats sends a key n times concurrently, and returns the different answers.
func (c *stormy) repeats(ctx context.Context, k, n int) (map[string]bool, error) {
	var all errgroup.Group
	got := make([]*answer, n)
	for i := range got {
		all.Go(func() (err error) {
			got[i], err = c.insist(ctx, stormKey(k), stormUser(k))
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	different := map[string]bool{}
	for _, a := range got {
		different[fmt.Sprint(a.status, a.body)] = true
	}
	return different, nil
}

// insist repeats a request until there is an answer other than 5xx.
func (c *stormy) insist(ctx context.Context, key, user string) (*answer, error) {
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
			return nil, err
		}
	}
	return nil, fmt.Errorf("no answer to key %s in %d tries", key, maxTries)
}

func (c *stormy) try(ctx context.Context, limit time.Duration, key, user string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c.tries.Add(1)
	a, err := post(ctx, c.client, c.url, key, strings.NewReader(`{"userId":"`+user+`"}`))
	if err == nil && a.header.Get("Idempotency-Replayed") != "" {
		c.replayed.Add(1)
	}
	return a, err
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

// withoutKey sends the same registration repeatedly, and returns how many requests were not answered 2xx.
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
