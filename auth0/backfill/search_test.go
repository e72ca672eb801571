package main

import (
	"fmt"
	"maps"
	"net/http"
	neturl "net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// directory is the Management API of a tenant with users, and its limits.
type directory struct {
	t     *testing.T
	users []created

	mu       sync.Mutex
	tokens   int
	searches []string                                     // queries
	before   func(w http.ResponseWriter, search int) bool // may answer a search in its place, by its number from 1
}

type created struct {
	id string
	at time.Time
}

func apiEnv() []string {
	return append(functionEnv(), "AUTH0_DOMAIN=acme.eu.auth0.com", "AUTH0_CLIENT_ID=deployer", "AUTH0_CLIENT_SECRET="+secret)
}

// usersAt makes n users, a step apart, starting at a time.
func usersAt(n int, from time.Time, step time.Duration) (users []created) {
	for i := range n {
		users = append(users, created{fmt.Sprintf("auth0|%d", i), from.Add(time.Duration(i) * step)})
	}
	return users
}

func day() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }

func (d *directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Method+r.URL.Path == "POST/oauth/token" {
		var body map[string]string
		if err := json.UnmarshalRead(r.Body, &body); err != nil || body["client_secret"] != secret || body["audience"] != "https://acme.eu.auth0.com/api/v2/" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		d.tokens++
		_, _ = fmt.Fprintf(w, `{"access_token":"%s%d","expires_in":86400}`, apiToken, d.tokens)
		return
	}
	if r.URL.Path != "/api/v2/users" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "+apiToken) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	d.searches = append(d.searches, r.URL.RawQuery)
	if d.before != nil && d.before(w, len(d.searches)) {
		return
	}
	d.search(w, r)
}

// search answers like the API: at most 1,000 users for a search, at most 100 on a page.
func (d *directory) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	bounds := regexp.MustCompile(`^created_at:\[(\S+) TO (\S+)\]$`).FindStringSubmatch(q.Get("q"))
	page, err := strconv.Atoi(q.Get("page"))
	if bounds == nil || err != nil || page > 9 || q.Get("search_engine") != "v3" || q.Get("include_totals") != "true" || q.Get("per_page") != "100" {
		d.t.Errorf("not understood: %s", r.URL.RawQuery)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	from, to := moment(d.t, bounds[1]), moment(d.t, bounds[2])
	found := []any{}
	for _, u := range d.users {
		if at := u.at.Truncate(time.Millisecond); !at.Before(from) && !at.After(to) {
			found = append(found, map[string]string{"user_id": u.id, "created_at": at.Format("2006-01-02T15:04:05.000Z")})
		}
	}
	total := len(found)
	found = found[min(page*100, total):min(page*100+100, total)]
	_ = json.MarshalWrite(w, map[string]any{"start": page * 100, "limit": 100, "length": len(found), "users": found, "total": total})
}

func moment(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000Z", s)
	if err != nil {
		t.Error(err)
	}
	return at
}

// backfill sends the users of a day, in virtual time, and returns the function that got them.
func (d *directory) backfill(t *testing.T, env []string, args ...string) (*target, result) {
	t.Helper()
	d.t = t
	f := &target{}
	args = append([]string{"-rate", "1000", "-parallel", "1", "-from", "2026-11-21T00:00:00Z", "-to", "2026-11-22T00:00:00Z"}, args...)
	return f, start(t.Context(), t, world{"https://fn.example": f, "https://acme.eu.auth0.com": d}, env, "", args...)
}

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
				d := &directory{users: slices.Concat(users, outside)}
				f, r := d.backfill(t, apiEnv())
				r.says(t, 0, fmt.Sprintf("%8d  delivered", len(users)))
				if diff := cmp.Diff(userIDs(len(users)), f.ids()); diff != "" {
					t.Errorf("users (-want +got):\n%s", diff)
				}
				if d.tokens != 1 {
					t.Errorf("got %d tokens", d.tokens)
				}
			})
		})
	}
}

// TestSearchLimits respects the limits in the answers.
func TestSearchLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		header func(now time.Time) http.Header
		after  time.Duration // the next request
	}{
		"429 with a reset": {429, func(now time.Time) http.Header {
			return http.Header{"X-Ratelimit-Reset": {strconv.FormatInt(now.Add(7*time.Second).Unix(), 10)}}
		}, 7 * time.Second},
		"429 with Retry-After": {429, func(time.Time) http.Header { return http.Header{"Retry-After": {"9"}} }, 9 * time.Second},
		"429":                  {429, func(time.Time) http.Header { return nil }, time.Second},
		"429 until next year": {429, func(now time.Time) http.Header {
			return http.Header{"X-Ratelimit-Reset": {strconv.FormatInt(now.AddDate(1, 0, 0).Unix(), 10)}}
		}, 5 * time.Minute},
		"none left": {200, func(now time.Time) http.Header {
			return http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {strconv.FormatInt(now.Add(3*time.Second).Unix(), 10)}}
		}, 3 * time.Second},
		"some left": {200, func(now time.Time) http.Header {
			return http.Header{"X-Ratelimit-Remaining": {"1"}, "X-Ratelimit-Reset": {strconv.FormatInt(now.Add(3*time.Second).Unix(), 10)}}
		}, 0},
		"503": {503, func(time.Time) http.Header { return nil }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &directory{users: usersAt(150, day(), time.Minute)}
				var times []time.Time
				d.before = func(w http.ResponseWriter, search int) bool {
					times = append(times, time.Now())
					if search > 1 {
						return false
					}
					maps.Copy(w.Header(), c.header(time.Now()))
					if c.status != http.StatusOK {
						w.WriteHeader(c.status)
					}
					return c.status != http.StatusOK
				}
				_, r := d.backfill(t, apiEnv())
				r.says(t, 0, "     150  delivered")
				// The reset time has whole seconds.
				if got := times[1].Sub(times[0]).Round(time.Second); got != c.after && c.after > 0 {
					t.Errorf("the next request came after %v, want %v", got, c.after)
				}
			})
		})
	}
}

// TestSearchFails shows that an incomplete search is reported, and ends with 1.
func TestSearchFails(t *testing.T) {
	t.Parallel()
	status := func(code int) func(http.ResponseWriter, int) bool {
		return func(w http.ResponseWriter, _ int) bool { w.WriteHeader(code); return true }
	}
	for says, c := range map[string]struct {
		env    []string
		users  []created
		before func(http.ResponseWriter, int) bool
	}{
		"search for users: POST /oauth/token: HTTP 401":                                                  {env: append(apiEnv(), "AUTH0_CLIENT_SECRET=x")},
		"search for users: GET /api/v2/users: HTTP 401":                                                  {env: append(functionEnv(), "AUTH0_DOMAIN=acme.eu.auth0.com", "AUTH0_TOKEN=x")},
		"search for users: GET /api/v2/users: HTTP 403: the application needs the permission read:users": {before: status(403)},
		"search for users: GET /api/v2/users: HTTP 400":                                                  {before: status(400)},
		"search for users: GET /api/v2/users: HTTP 500":                                                  {before: status(500)},
		"search for users: GET /api/v2/users: connection reset":                                          {before: status(broken)},
		"search for users: GET /api/v2/users: an answer that is not the expected JSON": {before: func(w http.ResponseWriter, _ int) bool {
			_, _ = w.Write([]byte(`{"users":"jane@example.com`))
			return true
		}},
		"search for users: 1500 in one millisecond, [2026-11-21T00:00:00.000Z TO 2026-11-21T00:00:00.000Z]; use an export job": {users: usersAt(1500, day(), 0)},
		"search for users: 1 of 2 came, [2026-11-21T00:00:00.000Z TO 2026-11-21T23:59:59.999Z]": {before: func(w http.ResponseWriter, search int) bool {
			if search%2 == 0 {
				_, _ = w.Write([]byte(`{"users":[],"total":2}`))
				return true
			}
			_, _ = w.Write([]byte(`{"users":[{"user_id":"a","created_at":"2026-11-21T00:00:00.000Z"}],"total":2}`))
			return true
		}},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := c.env
				if env == nil {
					env = apiEnv()
				}
				f, r := (&directory{users: c.users, before: c.before}).backfill(t, env)
				r.says(t, 1, "backfill: "+says, "       0  delivered")
				if len(f.posts) > 0 {
					t.Errorf("sent %v", f.ids())
				}
			})
		})
	}
}

// TestSearchSlow halves the span of a search that Auth0 aborts, until it is fast enough, and reports that once. If
// nothing helps it reports that as well.
func TestSearchSlow(t *testing.T) {
	t.Parallel()
	const slow = "Auth0 aborted a search after 2 seconds (HTTP 503): its time span is halved"
	synctest.Test(t, func(t *testing.T) {
		d := &directory{users: usersAt(150, day(), time.Minute)}
		d.before = func(w http.ResponseWriter, _ int) bool {
			q, err := neturl.ParseQuery(d.searches[len(d.searches)-1])
			if err != nil {
				t.Error(err)
			}
			bounds := regexp.MustCompile(`^created_at:\[(\S+) TO (\S+)\]$`).FindStringSubmatch(q.Get("q"))
			if moment(t, bounds[2]).Sub(moment(t, bounds[1])) < 4*time.Hour {
				return false
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		f, r := d.backfill(t, apiEnv())
		r.says(t, 0, slow, "     150  delivered")
		if n := strings.Count(r.stderr, slow); n != 1 {
			t.Errorf("told %d times", n)
		}
		if diff := cmp.Diff(userIDs(150), f.ids()); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d := &directory{before: func(w http.ResponseWriter, _ int) bool { w.WriteHeader(http.StatusServiceUnavailable); return true }}
		_, r := d.backfill(t, apiEnv())
		r.says(t, 1, slow)
		if !strings.Contains(r.stderr, "backfill: search for users: Auth0 gave up the search (HTTP 503), [2026-11-21T00:00:00.000Z TO ") ||
			!strings.Contains(r.stderr, "; is the Management API down? Else use an export job\n") {
			t.Errorf("got %q", r.stderr)
		}
	})
}

// TestSearchChanges shows that no user is missed if another one is deleted between two pages.
func TestSearchChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{users: usersAt(150, day(), time.Minute)}
		d.before = func(_ http.ResponseWriter, search int) bool {
			if search == 2 {
				d.users = d.users[1:] // the 101st is now on the page that was read
			}
			return false
		}
		f, r := d.backfill(t, apiEnv())
		r.says(t, 0, "     149  delivered")
		if diff := cmp.Diff(userIDs(150)[1:], f.ids()); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
	})
}

// TestSearchToken gets a new token once when the old one has expired.
func TestSearchToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{users: usersAt(150, day(), time.Minute)}
		d.before = func(w http.ResponseWriter, search int) bool {
			if search == 2 {
				w.WriteHeader(http.StatusUnauthorized)
			}
			return search == 2
		}
		_, r := d.backfill(t, apiEnv())
		r.says(t, 0, "     150  delivered")
		if d.tokens != 2 {
			t.Errorf("got %d tokens, want 2", d.tokens)
		}
	})
}

// TestSearchFields requests personal data only if it is sent.
func TestSearchFields(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]bool{"-profile=false": true, "-profile": false} {
		synctest.Test(t, func(t *testing.T) {
			d := &directory{users: usersAt(1, day(), 0)}
			_, r := d.backfill(t, apiEnv(), flag)
			r.says(t, 0)
			if got := strings.Contains(d.searches[0], "fields=user_id%2Ccreated_at"); got != want {
				t.Errorf("%s: asked for %s", flag, d.searches[0])
			}
		})
	}
}
