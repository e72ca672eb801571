package identity

import (
	"context"
	"sync"
	"time"
)

// Source gets a token from an identity service and returns when it expires.
type Source func(context.Context) (token string, expires time.Time, err error)

const (
	margin     = time.Minute      // a token that expires sooner is not used: it could arrive too late
	renewEvery = 10 * time.Second // how often to check whether a new token is due
	fetchLimit = 30 * time.Second // for one answer of the service
)

// Tokens caches one token. It is safe for use by several goroutines.
type Tokens struct {
	source   Source
	now      func() time.Time // by the wall clock: the monotonic clock stops while a machine sleeps, but tokens still expire
	fetching chan struct{}    // holds one while a token is asked for

	mu      sync.Mutex
	token   string
	fetched time.Time
	expires time.Time
}

// NewTokens returns an empty cache.
func NewTokens(source Source) *Tokens { return NewTokensAt(source, time.Now) }

// NewTokensAt is NewTokens with another wall clock, for tests that move it.
func NewTokensAt(source Source, now func() time.Time) *Tokens {
	return &Tokens{source: source, now: func() time.Time { return now().Round(0) }, fetching: make(chan struct{}, 1)}
}

// Get returns a token that is valid for at least a minute. It gets a new one if none is cached.
func (c *Tokens) Get(ctx context.Context) (string, error) {
	if token, _, ok := c.Current(); ok {
		return token, nil
	}
	select {
	case c.fetching <- struct{}{}:
		defer func() { <-c.fetching }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if token, _, ok := c.Current(); ok { // another has fetched it meanwhile
		return token, nil
	}
	return c.fetch(ctx)
}

// Current returns the cached token and when it expires, if it is valid for at least a minute.
func (c *Tokens) Current() (token string, expires time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token, c.expires, c.expires.Sub(c.now()) > margin
}

func (c *Tokens) fetch(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	token, expires, err := c.source(ctx)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.fetched, c.expires = token, c.now(), expires.Round(0)
	return token, nil
}

// Renew gets a new token when half the lifetime of the cached one is over, until ctx ends. If that fails it keeps the
// old token and tries again.
func (c *Tokens) Renew(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		c.mu.Lock()
		due := c.now().After(c.fetched.Add(c.expires.Sub(c.fetched) / 2))
		c.mu.Unlock()
		if due {
			select {
			case c.fetching <- struct{}{}:
				_, _ = c.fetch(ctx) // Get reports the reason to its caller
				<-c.fetching
			default: // another call is renewing it
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
