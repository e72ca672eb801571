package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// delivered is the result of a user that the function accepted.
type delivered struct {
	outbox bool // it waits there for Kafka
	bare   bool // the function refused the profile, and accepted the user without it
}

// refusedError is an error answer.
type refusedError struct {
	status int
	reason string // the type of the function's problem document, or ""
	user   bool   // it is about this user
	final  bool   // sending other users is pointless
	hint   string
}

func (e *refusedError) Error() string {
	text := "HTTP " + strconv.Itoa(e.status)
	if e.reason != "" {
		text += " " + e.reason
	}
	return text + e.hint
}

// form says that the function refused the request for its form or size.
func (e *refusedError) form() bool {
	return e.status == http.StatusBadRequest || e.status == http.StatusRequestEntityTooLarge
}

// function is the target of users.
type function struct {
	url, key string
	profile  bool
	tenant   string
	client   *http.Client
}

// deliver sends a user until the function has stored it, at most attempts times. It omits a refused profile. The error
// is a *refusedError, or that of the last attempt.
func (f *function) deliver(ctx context.Context, u user, id string) (delivered, error) {
	body, err := f.body(u, f.profile)
	if err != nil {
		return delivered{}, err
	}
	ids := []string{id}
	if u.event != nil {
		ids = append(ids, u.event.ID) // if the function cannot derive an id, Auth0's id is kept
	}
	outbox, err := f.again(ctx, body, ids)
	if refused, ok := errors.AsType[*refusedError](err); !ok || !f.profile || !refused.form() {
		return delivered{outbox: outbox}, err
	}
	if body, err = f.body(u, false); err != nil {
		return delivered{}, err
	}
	outbox, err = f.again(ctx, body, ids)
	return delivered{outbox: outbox, bare: true}, err
}

// again sends a body until it is accepted or refused, and says whether it went into the outbox.
func (f *function) again(ctx context.Context, body []byte, ids []string) (outbox bool, err error) {
	backoff := time.Second
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		outbox, wait, err := f.send(ctx, body, ids)
		if err == nil || wait < 0 || attempt == attempts {
			return outbox, err
		}
		_ = sleep(ctx, max(backoff, min(wait, longestWait))) // the next attempt looks
		backoff *= 2
	}
}

// body returns the Action's body or, for a user from an event, the body of a stream's Action. Without the profile it
// still has created_at for the event's time, because the time of this request is too late.
func (f *function) body(u user, profile bool) ([]byte, error) {
	type created struct {
		CreatedAt string `json:"created_at"`
	}
	var user any = created{u.createdAt}
	if profile {
		user = u.profile
	}
	var request any
	switch {
	case u.event == nil:
		request = struct {
			UserID string `json:"userId"`
			Tenant string `json:"tenant"`
			User   any    `json:"user"`
		}{u.id, f.tenant, user}
	case profile:
		request = u.event.body(user)
	default:
		request = u.event.body(struct {
			UserID    string `json:"user_id"`
			CreatedAt string `json:"created_at"`
		}{u.id, u.createdAt})
	}
	body, err := json.Marshal(request, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return body, nil
}

// send makes one attempt. wait is how long to wait before the next one; negative if that does not help.
func (f *function) send(ctx context.Context, body []byte, ids []string) (outbox bool, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, attemptLimit, errNoAnswer)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return false, -1, errNoAnswer // the address was checked
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", ids[0])
	if f.key != "" {
		req.Header.Set("X-Functions-Key", f.key)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return false, 0, withoutAddress(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, longestAnswer))
	if err != nil {
		return false, 0, withoutAddress(ctx, err)
	}
	return judge(res, text, ids)
}

// judge interprets an answer: whether the user is in the outbox, or the error and how long to wait.
func judge(res *http.Response, text []byte, ids []string) (outbox bool, wait time.Duration, err error) {
	var answer struct {
		EventID string `json:"eventId"`
		Type    string `json:"type"`
	}
	known := json.Unmarshal(text, &answer) == nil
	refused := &refusedError{status: res.StatusCode}
	if kind, ok := strings.CutPrefix(answer.Type, "urn:userrelay:problem:"); ok && regexp.MustCompile(`^[a-z-]{1,40}$`).MatchString(kind) {
		refused.reason = kind // no other part of the answer
	}
	switch status := res.StatusCode; {
	case status >= 200 && status < 300:
		if !known || answer.EventID == "" || !slices.Contains(ids, answer.EventID) {
			refused.final, refused.hint = true, ", but not from the function: check FUNCTION_URL"
			return false, -1, refused
		}
		return status == http.StatusAccepted, 0, nil
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return false, retryAfter(res.Header), refused
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		refused.final, refused.hint = true, ": check FUNCTION_KEY"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status < 400:
		refused.final, refused.hint = true, ": check FUNCTION_URL"
	default:
		refused.user = true
	}
	return false, -1, refused
}
