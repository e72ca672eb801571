package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSearch finds all users, each once and in order, however many there are and however close in time.
func TestSearch(t *testing.T) {
	t.Parallel()
	for name, users := range map[string][]created{
		"nobody":                  nil,
		"one page":                usersAt(100, day(), time.Minute),
		"two":                     usersAt(101, day(), time.Minute),
		"999":                     usersAt(999, day(), time.Minute),
		"1000":                    usersAt(1000, day(), time.Minute),
		"1001":                    usersAt(1001, day(), time.Minute),
		"many in a second":        usersAt(3500, day().Add(12*time.Hour), 300*time.Microsecond),
		"at both ends of the day": {{"auth0|0", day()}, {"auth0|1", day().AddDate(0, 0, 1).Add(-time.Millisecond)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				outside := []created{{"auth0|before", day().Add(-time.Millisecond)}, {"auth0|after", day().AddDate(0, 0, 1)}}
				a, f := &tenant{users: slices.Concat(users, outside)}, &target{}
				r := a.send(t, f)
				r.says(t, 0, fmt.Sprintf("%8d  delivered", len(users)))
				if strings.Contains(r.stdout, "more than once") {
					t.Errorf("spans overlap:\n%s", r.stdout)
				}
				f.got(t, userIDs(len(users))...)
				if a.tokens != 1 {
					t.Errorf("got %d tokens", a.tokens)
				}
			})
		})
	}
}

// TestSearchLimits respects the limits in the answers, and renews an expired token.
func TestSearchLimits(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) string { // as virtual time begins
		return strconv.FormatInt(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d).Unix(), 10)
	}
	const reset, left = "X-Ratelimit-Reset", "X-Ratelimit-Remaining"
	for name, c := range map[string]struct {
		status int
		header http.Header
		after  time.Duration // the next request
		tokens int
	}{
		"429 with a reset":     {429, http.Header{reset: {in(7 * time.Second)}}, 7 * time.Second, 1},
		"429 with Retry-After": {429, http.Header{"Retry-After": {"9"}}, 9 * time.Second, 1},
		"429":                  {429, nil, time.Second, 1},
		"429 until next year":  {429, http.Header{reset: {in(9000 * time.Hour)}}, 5 * time.Minute, 1},
		"none left":            {200, http.Header{left: {"0"}, reset: {in(3 * time.Second)}}, 3 * time.Second, 1},
		"some left":            {200, http.Header{left: {"1"}, reset: {in(3 * time.Second)}}, 0, 1},
		"503":                  {503, nil, time.Second, 1},
		"an expired token":     {401, nil, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var times []time.Time
				a := &tenant{users: usersAt(150, day(), time.Minute), before: func(w http.ResponseWriter, _ *http.Request, n int) bool {
					times = append(times, time.Now())
					if n > 1 {
						return false
					}
					maps.Copy(w.Header(), c.header)
					if c.status != http.StatusOK {
						w.WriteHeader(c.status)
					}
					return c.status != http.StatusOK
				}}
				a.send(t, &target{}).says(t, 0, "     150  delivered")
				// The first page may be sent before the second one is read.
				if got := times[1].Sub(times[0]); got < c.after || got >= c.after+time.Second {
					t.Errorf("the next request came after %v, want %v", got, c.after)
				}
				if a.tokens != c.tokens {
					t.Errorf("got %d tokens, want %d", a.tokens, c.tokens)
				}
			})
		})
	}
}

// TestReadFails shows that incomplete reading is reported, and ends with 1.
func TestReadFails(t *testing.T) {
	t.Parallel()
	type before = func(w http.ResponseWriter, r *http.Request, n int) bool
	status := func(code int) before {
		return func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(code); return true }
	}
	text := func(texts ...string) before {
		return func(w http.ResponseWriter, _ *http.Request, n int) bool {
			_, _ = fmt.Fprint(w, texts[(n-1)%len(texts)])
			return true
		}
	}
	const search, events = "search for users: ", "read the events: "
	for says, c := range map[string]struct {
		before before
		env    []string
		users  []created
	}{
		search + "POST /oauth/token: HTTP 401":                                                  {nil, append(apiEnv(), "AUTH0_CLIENT_SECRET=x"), nil},
		search + "GET /api/v2/users: HTTP 401":                                                  {nil, append(functionEnv(), "AUTH0_DOMAIN=acme.eu.auth0.com", "AUTH0_TOKEN=x"), nil},
		search + "GET /api/v2/users: HTTP 403: the application needs the permission read:users": {status(403), nil, nil},
		search + "GET /api/v2/users: HTTP 400":                                                  {status(400), nil, nil},
		search + "GET /api/v2/users: HTTP 500":                                                  {status(500), nil, nil},
		search + "GET /api/v2/users: connection reset":                                          {status(broken), nil, nil},
		search + "GET /api/v2/users: the answer is not the expected JSON":                       {text(`{"users":"jane@example.com`), nil, nil},
		search + "got 1 of 2 users, [2026-11-21T00:00:00.000Z TO 2026-11-21T23:59:59.999Z]": {text(
			`{"users":[{"user_id":"a","created_at":"2026-11-21T00:00:00.000Z"}],"total":2}`, `{"users":[],"total":2}`), nil, nil},
		search + "1500 users in one millisecond, [2026-11-21T00:00:00.000Z TO 2026-11-21T00:00:00.000Z]; use an export job": {nil, nil, usersAt(1500, day(), 0)},
		search + "Auth0 aborted the search (HTTP 503), [2026-11-21T00:00:00.000Z TO 2026-11-21T00:00:00.659Z]; " +
			"if the Management API is not down, use an export job": {status(503), nil, nil},

		events + "GET /api/v2/events: HTTP 403: the application needs the permission read:events":   {status(403), nil, nil},
		events + "GET /api/v2/events: HTTP 400":                                                     {status(400), nil, nil},
		events + "GET /api/v2/events: HTTP 401":                                                     {status(401), nil, nil},
		events + "GET /api/v2/events: HTTP 429":                                                     {status(429), nil, nil},
		events + "GET /api/v2/events: HTTP 500":                                                     {status(500), nil, nil},
		events + "GET /api/v2/events: connection reset":                                             {status(broken), nil, nil},
		events + "HTTP 410: Auth0 no longer has the events of that time; use a search or an export": {status(410), nil, nil},
		events + "the stream ended: processing_error":                                               {text("event: error\ndata: {\"error\":{\"code\":\"processing_error\"}}\n\n"), nil, nil},
		events + "GET /api/v2/events: no answer in time":                                            {func(_ http.ResponseWriter, r *http.Request, _ int) bool { <-r.Context().Done(); return true }, nil, nil},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, f := &tenant{env: c.env, users: c.users, before: c.before}, &target{}
				a.send(t, f, fmt.Sprintf("-events=%t", strings.HasPrefix(says, events))).says(t, 1, "backfill: "+says, "       0  delivered")
				f.got(t)
			})
		})
	}
}

// TestSearchChanges halves the span of a search that Auth0 aborts, until it is fast enough, and reports that once. It
// misses no user if another one is deleted between two pages. It requests personal data only if it is sent.
func TestSearchChanges(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-profile=false", "-profile"} {
		synctest.Test(t, func(t *testing.T) {
			a, f, pages := &tenant{users: usersAt(150, day(), time.Minute)}, &target{}, 0
			a.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if from, to := a.span(r); to.Sub(from) >= 4*time.Hour {
					w.WriteHeader(http.StatusServiceUnavailable)
					return true
				}
				if pages++; pages == 2 {
					a.users = a.users[1:] // the 101st is now on the page that was read
				}
				return false
			}
			r := a.send(t, f, flag)
			r.says(t, 0, "     149  delivered")
			f.got(t, userIDs(150)[1:]...)
			if n := strings.Count(r.stderr, "Auth0 aborted a search after 2 seconds (HTTP 503): halving the time span\n"); n != 1 {
				t.Errorf("told %d times", n)
			}
			if got := strings.Contains(a.asked[0], "fields=user_id%2Ccreated_at"); got != (flag == "-profile=false") {
				t.Errorf("%s: asked for %s", flag, a.asked[0])
			}
		})
	}
}
