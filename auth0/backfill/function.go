package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	attempts      = 5
	attemptLimit  = 10 * time.Second // the function answers within 4 s, after a cold start of some
	longestWait   = time.Minute      // whatever Retry-After says
	longestAnswer = 64 << 10
)

// place is where the function put a user.
type place int

const (
	inKafka place = iota
	inOutbox
)

// refusedError is an answer that is no success.
type refusedError struct {
	status int
	user   bool // it is about this user
	final  bool // no other user need be sent
	hint   string
}

func (e *refusedError) Error() string { return "HTTP " + strconv.Itoa(e.status) + e.hint }

// function is where users are sent.
type function struct {
	url, key string
	profile  bool
	tenant   string
	client   *http.Client
}

// deliver sends one user until the function has it, at most attempts times. The error is a *refusedError, or that of the
// last attempt.
func (f *function) deliver(ctx context.Context, u user, id string) (place, error) {
	body, err := f.body(u)
	if err != nil {
		return 0, err
	}
	backoff := time.Second
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		where, wait, err := f.send(ctx, body, id)
		if err == nil || wait < 0 || attempt == attempts {
			return where, err
		}
		_ = sleep(ctx, max(backoff, min(wait, longestWait))) // the next attempt looks
		backoff *= 2
	}
}

// body is what the Action sends. Without the profile it has created_at still, for the event's time: by now the time of the
// request says nothing.
func (f *function) body(u user) ([]byte, error) {
	type created struct {
		CreatedAt string `json:"created_at"`
	}
	var (
		body []byte
		err  error
	)
	if f.profile {
		body, err = json.Marshal(struct {
			UserID string         `json:"userId"`
			Tenant string         `json:"tenant"`
			User   jsontext.Value `json:"user"`
		}{u.id, f.tenant, u.profile}, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	} else {
		body, err = json.Marshal(struct {
			UserID string  `json:"userId"`
			User   created `json:"user"`
		}{u.id, created{u.createdAt}})
	}
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return body, nil
}

// send makes one attempt. wait is how long to wait before another, below 0 where another does not help.
func (f *function) send(ctx context.Context, body []byte, id string) (where place, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, attemptLimit, errNoAnswer)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return 0, -1, errNoAnswer // the address was checked
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", id)
	if f.key != "" {
		req.Header.Set("X-Functions-Key", f.key)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return 0, 0, withoutAddress(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, longestAnswer))
	if err != nil {
		return 0, 0, withoutAddress(ctx, err)
	}
	return judge(res, text, id)
}

func judge(res *http.Response, text []byte, id string) (place, time.Duration, error) {
	status := res.StatusCode
	switch {
	case status >= 200 && status < 300:
		var answer struct {
			EventID string `json:"eventId"`
		}
		if json.Unmarshal(text, &answer) != nil || answer.EventID != id {
			return 0, -1, &refusedError{status: status, final: true, hint: ", but not from the function: check FUNCTION_URL"}
		}
		if status == http.StatusAccepted {
			return inOutbox, 0, nil
		}
		return inKafka, 0, nil
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return 0, retryAfter(res.Header), &refusedError{status: status}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return 0, -1, &refusedError{status: status, final: true, hint: ": check FUNCTION_KEY"}
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status < 400:
		return 0, -1, &refusedError{status: status, final: true, hint: ": check FUNCTION_URL"}
	default:
		return 0, -1, &refusedError{status: status, user: true}
	}
}
