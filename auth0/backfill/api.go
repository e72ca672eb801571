package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	apiAttempts      = 8
	apiLimit         = 30 * time.Second // one request
	longestAPIAnswer = 256 << 20        // a page of 100 large profiles
)

// api is the Management API of a tenant. It is used by one goroutine at a time.
type api struct {
	domain      string
	credentials credentials
	client      *http.Client

	token string
	pause time.Time // no request before
}

// apiError is an error answer of the Management API.
type apiError struct{ status int }

func (e *apiError) Error() string { return "HTTP " + strconv.Itoa(e.status) }

// get requests a path until it is answered 200, and reads the answer. It respects the limits in the answers
// (x-ratelimit-remaining and -reset, Retry-After). unavailable is the number of attempts after a 503.
func (a *api) get(ctx context.Context, path string, query neturl.Values, into any, unavailable int) error {
	renewed := false
	backoff := time.Second
	for attempt := 1; ; attempt++ {
		if err := a.authorize(ctx); err != nil {
			return err
		}
		status, err := a.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, into)
		switch {
		case err == nil:
			return nil
		case status == http.StatusUnauthorized && a.credentials.token == "" && !renewed:
			a.token, renewed = "", true // a day has passed
			continue
		case status == http.StatusForbidden:
			return fmt.Errorf("%w: the application needs the permission read:users", err)
		case status >= 400 && status < 500 && status != http.StatusTooManyRequests, attempt == apiAttempts:
			return err
		case status == http.StatusServiceUnavailable:
			if unavailable--; unavailable == 0 {
				return err
			}
		}
		if !sleep(ctx, backoff) {
			return context.Cause(ctx)
		}
		backoff = min(2*backoff, 30*time.Second)
	}
}

// authorize gets a token if there is none.
func (a *api) authorize(ctx context.Context) error {
	if a.token != "" {
		return nil
	}
	if a.token = a.credentials.token; a.token != "" {
		return nil
	}
	body, err := json.Marshal(map[string]string{
		"grant_type": "client_credentials", "client_id": a.credentials.id, "client_secret": a.credentials.secret,
		"audience": a.domain + "/api/v2/",
	}, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("write the request for a token: %w", err)
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if _, err := a.call(ctx, http.MethodPost, "/oauth/token", body, &answer); err != nil {
		return err
	}
	if answer.Token == "" {
		return errors.New("POST /oauth/token: the answer has no token")
	}
	a.token = answer.Token
	return nil
}

// stream requests a path with an endless answer, which the caller reads and closes. It renews an expired token once.
func (a *api) stream(ctx context.Context, path string, query neturl.Values) (*http.Response, error) {
	for renewed := false; ; renewed = true {
		if err := a.authorize(ctx); err != nil {
			return nil, err
		}
		res, err := a.request(ctx, http.MethodGet, path+"?"+query.Encode(), nil, "text/event-stream")
		if err != nil {
			return nil, err
		}
		if res.StatusCode == http.StatusOK {
			return res, nil
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized || a.credentials.token != "" || renewed {
			return nil, fmt.Errorf("GET %s: %w", path, &apiError{res.StatusCode})
		}
		a.token = ""
	}
}

// call makes a request and reads its answer. The error names the path without its query, and nothing of the answer.
// status is 0 if there was no answer.
func (a *api) call(ctx context.Context, method, path string, body []byte, into any) (status int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, apiLimit+max(time.Until(a.pause), 0), errNoAnswer)
	defer cancel()
	res, err := a.request(ctx, method, path, body, "application/json")
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	bare, _, _ := strings.Cut(path, "?")
	wrap := func(err error) error { return fmt.Errorf("%s %s: %w", method, bare, err) }
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, wrap(&apiError{res.StatusCode})
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, longestAPIAnswer))
	if err != nil {
		return 0, wrap(withoutAddress(ctx, err))
	}
	if err := json.Unmarshal(text, into, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return 0, wrap(errors.New("the answer is not the expected JSON"))
	}
	return res.StatusCode, nil
}

// request makes a request, not before the time that an earlier answer requires.
func (a *api) request(ctx context.Context, method, path string, body []byte, accept string) (*http.Response, error) {
	if wait := time.Until(a.pause); wait > 0 && !sleep(ctx, wait) {
		return nil, context.Cause(ctx)
	}
	bare, _, _ := strings.Cut(path, "?")
	wrap := func(err error) error { return fmt.Errorf("%s %s: %w", method, bare, err) }
	req, err := http.NewRequestWithContext(ctx, method, a.domain+path, bytes.NewReader(body))
	if err != nil {
		return nil, wrap(errors.New("no such address")) // it was checked
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept)
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	res, err := a.client.Do(req)
	if err != nil {
		return nil, wrap(withoutAddress(ctx, err))
	}
	a.obey(res)
	return res, nil
}

// obey sets the pause that the answer requires.
func (a *api) obey(res *http.Response) {
	reset, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64)
	if limited := res.StatusCode == http.StatusTooManyRequests; err == nil && (limited || res.Header.Get("X-RateLimit-Remaining") == "0") {
		a.pause = time.Unix(reset, 0)
	} else if limited {
		a.pause = time.Now().Add(retryAfter(res.Header))
	}
	if latest := time.Now().Add(5 * time.Minute); a.pause.After(latest) {
		a.pause = latest // clocks differ
	}
}
