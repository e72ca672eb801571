package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/test/must"
)

const millisecond = "2006-01-02T15:04:05.000Z" // the format of Auth0's times

// tenant stands in for Auth0: the token endpoint; the search for users of the Management API, with its limits; and the
// Events API, according to its documentation ("Consume Events with the Events API", August 2026): server-sent events
// with offsets, comments and offset-only messages between them, connections that end after a while.
type tenant struct {
	t      *testing.T
	env    []string // settings besides environment
	users  []created
	each   int                               // events of one connection, 0: all
	event  func(i int, event map[string]any) // changes an event
	end    string                            // is written at the end of a connection
	answer answer                            // to searches and connections

	tokens int
	asked  []string    // queries
	times  []time.Time // of queries
}

type created struct {
	id string
	at time.Time
}

func day() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }

// usersAt makes n users, a step apart, starting at a time.
func usersAt(n int, from time.Time, step time.Duration) (users []created) {
	for i, id := range userIDs(n) {
		users = append(users, created{id, from.Add(time.Duration(i) * step)})
	}
	return users
}

// send sends the users of a day to a function, in virtual time.
func (a *tenant) send(t *testing.T, f *target, args ...string) (r result) {
	t.Helper()
	args = append([]string{"-from", "2026-11-21T00:00:00Z", "-to", "2026-11-22T00:00:00Z"}, args...)
	synctest.Test(t, func(t *testing.T) {
		a.t = t
		r = start(t.Context(), t, world{"https://fn.example": f, "https://acme.eu.auth0.com": a}, a.env, "", args...)
	})
	return r
}

func (a *tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth/token" {
		var body map[string]string
		if err := json.UnmarshalRead(r.Body, &body); err != nil || body["client_secret"] != secret || body["audience"] != "https://acme.eu.auth0.com/api/v2/" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		a.tokens++
		_, _ = fmt.Fprintf(w, `{"access_token":"%s%d","expires_in":86400}`, apiToken, a.tokens)
		return
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "+apiToken) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	a.asked, a.times = append(a.asked, r.URL.RawQuery), append(a.times, time.Now())
	switch {
	case a.answer != nil && a.answer(w, r, len(a.asked)):
	case r.URL.Path == "/api/v2/users":
		a.search(w, r)
	case r.URL.Path == "/api/v2/events" && r.Header.Get("Accept") == "text/event-stream":
		a.stream(w, r)
	default:
		a.t.Errorf("not understood: %s", r.URL)
	}
}

// span returns the time span of a search.
func (a *tenant) span(r *http.Request) (from, to time.Time) {
	bounds := regexp.MustCompile(`^created_at:\[(\S+) TO (\S+)\]$`).FindStringSubmatch(r.URL.Query().Get("q"))
	if bounds == nil {
		a.t.Fatalf("not understood: %s", r.URL.RawQuery)
	}
	return must.Get[time.Time](a.t)(time.Parse(millisecond, bounds[1])), must.Get[time.Time](a.t)(time.Parse(millisecond, bounds[2]))
}

// search answers like the API: at most 1,000 users for a search, at most 100 on a page.
func (a *tenant) search(w io.Writer, r *http.Request) {
	q := r.URL.Query()
	page, err := strconv.Atoi(q.Get("page"))
	if err != nil || page > 9 || q.Get("search_engine") != "v3" || q.Get("include_totals") != "true" || q.Get("per_page") != "100" {
		a.t.Errorf("not understood: %s", r.URL.RawQuery)
	}
	from, to := a.span(r)
	found := []any{}
	for _, u := range a.users {
		if at := u.at.Truncate(time.Millisecond); !at.Before(from) && !at.After(to) {
			found = append(found, map[string]string{"user_id": u.id, "created_at": at.Format(millisecond)})
		}
	}
	total := len(found)
	_ = json.MarshalWrite(w, map[string]any{"users": found[min(page*100, total):min(page*100+100, total)], "total": total})
}

func (a *tenant) stream(w io.Writer, r *http.Request) {
	q := r.URL.Query()
	if q.Get("event_type") != "user.created" || q.Has("from") == q.Has("from_timestamp") {
		a.t.Errorf("not understood: %s", r.URL)
	}
	var first int
	if q.Has("from") {
		first = must.Get[int](a.t)(strconv.Atoi(strings.TrimSuffix(q.Get("from"), "=="))) + 1
	} else {
		since := must.Get[time.Time](a.t)(time.Parse(millisecond, q.Get("from_timestamp")))
		first, _ = slices.BinarySearchFunc(a.users, since, func(u created, at time.Time) int { return u.at.Compare(at) })
	}
	last := len(a.users)
	if a.each > 0 {
		last = min(first+a.each, last)
	}
	_, _ = fmt.Fprint(w, ":connected\n\nretry: 2000\n\n")
	for i := first; i < last; i++ {
		_, _ = fmt.Fprintf(w, "event: user.created\nid: %d==\ndata: %s\n\n", i, a.message(i))
		if i%3 == 2 {
			_, _ = fmt.Fprintf(w, "event: offset-only\nid: %d==\ndata: {\"offset\":\"%d==\"}\n\n: heartbeat\n\n", i, i)
		}
	}
	_, _ = fmt.Fprint(w, a.end)
}

func (a *tenant) message(i int) []byte {
	at := a.users[i].at.Format(millisecond)
	event := map[string]any{
		"id": fmt.Sprintf("evt_%022d", i), "type": "user.created", "specversion": "1.0", "source": "urn:auth0:acme-dev.eu.auth0.com", "time": at,
		"a0tenant": "acme-dev", "a0stream": "est_38ANnv8pQhqsZrX2VFbftv",
		"data": map[string]any{"object": map[string]any{"user_id": a.users[i].id, "created_at": at, "email": "jane@example.com"}},
	}
	if a.event != nil {
		a.event(i, event)
	}
	return must.Get[[]byte](a.t)(json.Marshal(map[string]any{"offset": strconv.Itoa(i) + "==", "event": event}, json.Deterministic(true)))
}
