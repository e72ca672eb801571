package kafka

import (
	"context"
	"sync"
	"time"
)

// TokenSource asks an identity service for a token and tells when it expires.
type TokenSource func(context.Context) (token string, expires time.Time, err error)

const (
	// A token with less than this left is not used: the login could come too late.
	tokenMargin = time.Minute
	renewEvery  = 30 * time.Second // it is looked whether a new token is due
)

// tokens keeps a token at hand, so that a connection that has to log in does not wait for the identity service, and many
// that do so at once ask it once.
type tokens struct {
	source   TokenSource
	fetching chan struct{} // holds one while a token is asked for

	mu      sync.Mutex
	token   string
	fetched time.Time
	expires time.Time
}

func newTokens(source TokenSource) *tokens {
	return &tokens{source: source, fetching: make(chan struct{}, 1)}
}

// get returns a token that is good for a minute at least.
func (t *tokens) get(ctx context.Context) (string, error) {
	if token, ok := t.current(); ok {
		return token, nil
	}
	select {
	case t.fetching <- struct{}{}:
		defer func() { <-t.fetching }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if token, ok := t.current(); ok { // another has fetched it meanwhile
		return token, nil
	}
	return t.fetch(ctx)
}

func (t *tokens) current() (token string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, time.Until(t.expires) > tokenMargin
}

func (t *tokens) fetch(ctx context.Context) (string, error) {
	token, expires, err := t.source(ctx)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.fetched, t.expires = token, time.Now(), expires
	return token, nil
}

// renew fetches tokens ahead of need, when half of the life of the one at hand is over, until ctx ends. Where that fails
// the old one stays, and it is tried again.
func (t *tokens) renew(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		t.mu.Lock()
		due := time.Now().After(t.fetched.Add(t.expires.Sub(t.fetched) / 2))
		t.mu.Unlock()
		if due {
			select {
			case t.fetching <- struct{}{}:
				_, _ = t.fetch(ctx) // a login that needs one tells why there is none
				<-t.fetching
			default: // a login is at it
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
