package identity

import (
	"context"
	"sync"
	"time"
)

// Source asks an identity service for a token and tells when it expires.
type Source func(context.Context) (token string, expires time.Time, err error)

const (
	margin     = time.Minute      // a token with less than this left is not used: it could arrive too late
	renewEvery = 10 * time.Second // it is looked whether a new token is due
	fetchLimit = 30 * time.Second // for one answer of the service
)

// Tokens keeps one token at hand. It is safe for use by several goroutines.
type Tokens struct {
	source   Source
	now      func() time.Time // by the wall clock: a machine that sleeps stops the monotonic one, and no token's life
	fetching chan struct{}    // holds one while a token is asked for

	mu      sync.Mutex
	token   string
	fetched time.Time
	expires time.Time
}

// NewTokens returns one without a token.
func NewTokens(source Source) *Tokens { return NewTokensAt(source, time.Now) }

// NewTokensAt is NewTokens with another wall clock, for tests that move it.
func NewTokensAt(source Source, now func() time.Time) *Tokens {
	return &Tokens{source: source, now: func() time.Time { return now().Round(0) }, fetching: make(chan struct{}, 1)}
}

// Get returns a token that is good for a minute at least, and asks for one where there is none.
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

// Current returns the token at hand and when it expires, if it is good for a minute at least.
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

// Renew fetches tokens ahead of need, when half of the life of the one at hand is over, until ctx ends. Where that fails
// the old one stays, and it is tried again.
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
				_, _ = c.fetch(ctx) // whoever needs one tells why there is none
				<-c.fetching
			default: // somebody is at it
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
