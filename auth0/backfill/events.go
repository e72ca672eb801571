package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	neturl "net/url"
	"regexp"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/handler/registration"
)

const (
	quiet         = time.Minute      // without an event: everything was read
	grace         = time.Minute      // events come in no strict order
	silence       = 90 * time.Second // without any data: the connection is dead
	eventAttempts = 8                // in a row without an event
	defaultRetry  = 2 * time.Second  // until the stream says otherwise
)

// replay reads the events of new users from Auth0's Events API (GET /api/v2/events): server-sent events, each with an
// offset at which the next connection can continue.
type replay struct {
	api    *api
	from   time.Time
	to     time.Time // no event of this time or later
	tenant string
	state  *state
	tell   func(format string, args ...any)

	offset string // where the next connection begins; "" is at from
	last   time.Time
	retry  time.Duration
	marks  marks
}

// errDone says that all events were read.
var errDone = errors.New("all events were read")

// users yields the users of the events, until an event after the time span, or until none has arrived for a while. It
// ends with the first error that is not an *unreadableError.
func (r *replay) users(ctx context.Context) iter.Seq2[user, error] {
	return func(yield func(user, error) bool) {
		r.offset, r.last, r.retry, r.marks.state = r.state.offset(), time.Now(), defaultRetry, r.state
		stopped, kept := false, r.offset
		for failures := 0; ; {
			before := r.offset
			err := r.connection(ctx, func(u user, err error) bool {
				stopped = !yield(u, err)
				return !stopped
			})
			switch {
			case stopped, errors.Is(err, errDone):
				return
			case ctx.Err() != nil:
				yield(user{}, context.Cause(ctx))
				return
			case errors.Is(err, errExpired) && before != "" && before == kept:
				kept = ""
				r.tell("the offset in the state file has expired: reading from -from again, and skipping delivered users")
				r.offset = ""
				continue
			}
			if failures++; err == nil || r.offset != before {
				failures = 0
			}
			if final := (*finalError)(nil); errors.As(err, &final) || failures == eventAttempts {
				yield(user{}, fmt.Errorf("read the events: %w", err))
				return
			}
			if time.Since(r.last) >= quiet && err == nil {
				return
			}
			if !sleep(ctx, r.retry) {
				yield(user{}, context.Cause(ctx))
				return
			}
		}
	}
}

// finalError is an error that another connection does not fix.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// errExpired says that Auth0 no longer has the events after an offset, or of a time.
var errExpired = errors.New("HTTP 410: Auth0 no longer has the events of that time; use a search or an export")

// connection reads the events of one connection. Auth0 ends connections every few minutes: that is no error.
func (r *replay) connection(ctx context.Context, yield func(user, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := time.AfterFunc(silence, func() { cancel(errNoAnswer) })
	defer alive.Stop()
	res, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	stream := newMessages(res.Body)
	for {
		m, err := stream.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return withoutAddress(ctx, err)
		}
		alive.Reset(silence)
		if m.retry > 0 {
			r.retry = min(m.retry, longestWait)
		}
		if err := r.handle(m, yield); err != nil {
			return err
		}
		if m.event != registration.Type && time.Since(r.last) >= quiet {
			return errDone
		}
	}
}

// open makes a connection that continues after the previous one.
func (r *replay) open(ctx context.Context) (*http.Response, error) {
	query := neturl.Values{"event_type": {registration.Type}}
	if r.offset != "" {
		query.Set("from", r.offset)
	} else {
		query.Set("from_timestamp", r.from.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	res, err := r.api.stream(ctx, "/api/v2/events", query)
	refused, ok := errors.AsType[*apiError](err)
	switch {
	case !ok || refused.status == http.StatusTooManyRequests || refused.status >= 500:
		return res, err
	case refused.status == http.StatusGone:
		return nil, &finalError{errExpired}
	case refused.status == http.StatusForbidden:
		return nil, &finalError{fmt.Errorf("%w: the application needs the permission read:events", err)}
	}
	return nil, &finalError{err}
}

// handle takes one message. The error ends the connection.
func (r *replay) handle(m message, yield func(user, error) bool) error {
	switch m.event {
	case "error":
		return r.failed(m)
	case registration.Type:
		r.last = time.Now()
		u, err := r.read(m)
		if err == nil && !u.at.IsZero() && !u.at.Before(r.to.Add(grace)) {
			return errDone
		}
		r.offset = m.id
		u.settled = r.marks.begin(m.id)
		if err != nil {
			u.settled() // it will never be readable
			err = &unreadableError{"an event of the Events API", err}
		} else if !u.at.IsZero() && !u.at.Before(r.to) {
			u.settled()
			return nil
		}
		if !yield(u, err) {
			return errDone
		}
	default:
		if m.id != "" { // offset-only, or a type that was not requested
			r.offset = m.id
			r.marks.begin(m.id)()
		}
	}
	return nil
}

// failed reads the message with which Auth0 ends a stream.
func (r *replay) failed(m message) error {
	var said struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(m.data, &said) // without a code it is an error as well
	switch code := said.Error.Code; {
	case code == "cursor_expired" || code == "invalid_cursor":
		return &finalError{errExpired}
	case regexp.MustCompile(`^[a-z_]{1,40}$`).MatchString(code):
		return fmt.Errorf("the stream ended: %s", code)
	}
	return errors.New("the stream ended with an error")
}

// read reads the event of a message.
func (r *replay) read(m message) (user, error) {
	var said struct {
		Event struct {
			ID       string `json:"id"`
			Source   string `json:"source"`
			Time     string `json:"time"`
			A0Tenant string `json:"a0tenant"`
			A0Stream string `json:"a0stream"`
			Data     struct {
				Object jsontext.Value `json:"object"`
			} `json:"data"`
		} `json:"event"`
	}
	if err := json.Unmarshal(m.data, &said, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return user{}, errNoJSON
	}
	u, err := readUser(said.Event.Data.Object)
	if err != nil {
		return user{}, err
	}
	e := said.Event
	u.at, _ = time.Parse(time.RFC3339Nano, e.Time) // an event without a time belongs to the span
	u.tenant = e.A0Tenant
	if !registration.ValidTenant(u.tenant) {
		u.tenant = r.tenant
	}
	u.event = &streamed{SpecVersion: "1.0", Type: registration.Type, ID: e.ID, Source: e.Source, Time: e.Time, A0Tenant: u.tenant, A0Stream: e.A0Stream}
	return u, nil
}

// streamed is an Auth0 event without the user, in the form that the function accepts, so that Auth0's own id and
// source are kept.
type streamed struct {
	SpecVersion string       `json:"specversion"`
	Type        string       `json:"type"`
	ID          string       `json:"id,omitzero"`
	Source      string       `json:"source,omitzero"`
	Time        string       `json:"time,omitzero"`
	A0Tenant    string       `json:"a0tenant"`
	A0Stream    string       `json:"a0stream,omitzero"`
	Data        streamedData `json:"data"`
}

type streamedData struct {
	Object any `json:"object"`
}

// body returns the event with the user in the form for the function.
func (s streamed) body(object any) streamed {
	s.Data.Object = object
	return s
}

// marks track the processed events: an offset is saved when all events before it are processed.
type marks struct {
	mu    sync.Mutex
	open  []*mark
	state *state
}

type mark struct {
	offset string
	done   bool
}

// begin returns a function to call when the event at an offset is processed.
func (m *marks) begin(offset string) (settled func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	here := &mark{offset: offset}
	m.open = append(m.open, here)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		here.done = true
		reached := ""
		for len(m.open) > 0 && m.open[0].done {
			reached, m.open = m.open[0].offset, m.open[1:]
		}
		if regexp.MustCompile(`^[!-~]+$`).MatchString(reached) { // the file has one a line
			m.state.reach(reached)
		}
	}
}
