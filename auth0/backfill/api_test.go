package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
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
		answer answer
		after  time.Duration // the next request
		tokens int
	}{
		"429 with a reset":     {status(429, reset, in(7*time.Second)), 7 * time.Second, 1},
		"429 with Retry-After": {status(429, "Retry-After", "9"), 9 * time.Second, 1},
		"429":                  {status(429), time.Second, 1},
		"429 until next year":  {status(429, reset, in(9000*time.Hour)), 5 * time.Minute, 1},
		"none left":            {status(200, left, "0", reset, in(3*time.Second)), 3 * time.Second, 1},
		"some left":            {status(200, left, "1", reset, in(3*time.Second)), 0, 1},
		"503":                  {status(503), time.Second, 1},
		"an expired token":     {status(401), 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &tenant{users: usersAt(150, day(), time.Minute), answer: nth(1, c.answer)}
			a.send(t, &target{}).says(t, 0, "     150  delivered")
			// The first page may be sent before the second one is read.
			if got := a.times[1].Sub(a.times[0]); got < c.after || got >= c.after+time.Second {
				t.Errorf("the next request came after %v, want %v", got, c.after)
			}
			if a.tokens != c.tokens {
				t.Errorf("got %d tokens, want %d", a.tokens, c.tokens)
			}
		})
	}
}

// TestReadFails shows that incomplete reading is reported, and ends with 1.
func TestReadFails(t *testing.T) {
	t.Parallel()
	half := func(w http.ResponseWriter, r *http.Request, n int) bool {
		users := []string{`{"user_id":"a","created_at":"2026-11-21T00:00:00.000Z"}`, ""}[(n-1)%2] // on every second page nobody
		return text(200, `{"users":[`+users+`],"total":2}`)(w, r, n)
	}
	const search, events = "search for users: ", "read the events: "
	for says, a := range map[string]*tenant{
		search + "POST /oauth/token: HTTP 401":                                                                              {env: []string{"AUTH0_CLIENT_SECRET=x"}},
		search + "GET /api/v2/users: HTTP 401":                                                                              {env: []string{"AUTH0_TOKEN=x"}},
		search + "GET /api/v2/users: HTTP 403: the application needs the permission read:users":                             {answer: status(403)},
		search + "GET /api/v2/users: HTTP 400":                                                                              {answer: status(400)},
		search + "GET /api/v2/users: HTTP 500":                                                                              {answer: status(500)},
		search + "GET /api/v2/users: connection reset":                                                                      {answer: status(broken)},
		search + "GET /api/v2/users: the answer is not the expected JSON":                                                   {answer: text(200, `{"users":"jane@example.com`)},
		search + "got 1 of 2 users, [2026-11-21T00:00:00.000Z TO 2026-11-21T23:59:59.999Z]":                                 {answer: half},
		search + "1500 users in one millisecond, [2026-11-21T00:00:00.000Z TO 2026-11-21T00:00:00.000Z]; use an export job": {users: usersAt(1500, day(), 0)},
		search + "Auth0 aborted the search (HTTP 503), [2026-11-21T00:00:00.000Z TO 2026-11-21T00:00:00.659Z]; " +
			"if the Management API is not down, use an export job": {answer: status(503)},

		events + "GET /api/v2/events: HTTP 403: the application needs the permission read:events":   {answer: status(403)},
		events + "GET /api/v2/events: HTTP 400":                                                     {answer: status(400)},
		events + "GET /api/v2/events: HTTP 401":                                                     {answer: status(401)},
		events + "GET /api/v2/events: HTTP 429":                                                     {answer: status(429)},
		events + "GET /api/v2/events: HTTP 500":                                                     {answer: status(500)},
		events + "GET /api/v2/events: connection reset":                                             {answer: status(broken)},
		events + "HTTP 410: Auth0 no longer has the events of that time; use a search or an export": {answer: status(410)},
		events + "the stream ended: processing_error":                                               {answer: text(200, "event: error\ndata: {\"error\":{\"code\":\"processing_error\"}}\n\n")},
		events + "GET /api/v2/events: no answer in time":                                            {answer: hang},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			f := &target{}
			a.send(t, f, fmt.Sprintf("-events=%t", strings.HasPrefix(says, events))).says(t, 1, "backfill: "+says, "       0  delivered")
			f.got(t)
		})
	}
}

// TestSearchChanges halves the span of a search that Auth0 aborts, until it is fast enough, and reports that once. It
// misses no user if another one is deleted between two pages. It requests personal data only if it is sent.
func TestSearchChanges(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-profile=false", "-profile"} {
		a, f, pages := &tenant{users: usersAt(150, day(), time.Minute)}, &target{}, 0
		a.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if from, to := a.span(r); to.Sub(from) >= 4*time.Hour {
				return status(503)(w, r, n)
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
	}
}

// TestReplay sends all users of whom Auth0 has an event, over as many connections as needed, also if their ends or
// beginnings fail.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		users, each int
		end         string
		status      int // of every second connection
		tokens      int
	}{
		"nobody":                   {0, 0, "", 0, 1},
		"one connection":           {50, 0, "", 0, 1},
		"many connections":         {50, 7, "", 0, 1},
		"cut off in a message":     {50, 7, "event: user.created\nid: x\ndata: {\"off", 0, 1},
		"an error at the end":      {50, 7, "event: error\ndata: {\"error\":{\"code\":\"connection_timeout\",\"message\":\"jane@example.com\"}}\n\n", 0, 1},
		"another error at the end": {50, 7, "event: error\ndata: jane@example.com\n\n", 0, 1},
		"an expired token":         {20, 6, "", 401, 4},
		"429":                      {20, 6, "", 429, 1},
		"500":                      {20, 6, "", 500, 1},
		"503":                      {20, 6, "", 503, 1},
		"broken connection":        {20, 6, "", broken, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := created{"auth0|before", day().Add(-time.Millisecond)}, day().AddDate(0, 0, 1)
			users := slices.Concat([]created{before}, usersAt(c.users, day(), time.Minute), []created{{"auth0|after", after}, {"auth0|late", after.Add(2 * time.Minute)}})
			a, f := &tenant{users: users, each: c.each, end: c.end}, &target{}
			a.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
				return c.status != 0 && n%2 == 0 && status(c.status)(w, r, n)
			}
			a.send(t, f, "-events").says(t, 0, fmt.Sprintf("%8d  delivered", c.users))
			f.got(t, userIDs(c.users)...)
			if a.tokens != c.tokens {
				t.Errorf("got %d tokens, want %d", a.tokens, c.tokens)
			}
		})
	}
}

// TestReplayOddEvents shows that an event without a user does not prevent others from being sent, and has the members
// that Auth0's example omits.
func TestReplayOddEvents(t *testing.T) {
	t.Parallel()
	a, f := &tenant{users: usersAt(5, day(), time.Minute), event: func(i int, event map[string]any) {
		switch i {
		case 1:
			delete(event, "data")
		case 2:
			for _, name := range []string{"specversion", "source", "a0tenant", "a0stream"} { // as in the example
				delete(event, name)
			}
		case 3:
			event["data"] = map[string]any{"object": map[string]any{"user_id": "auth0|3"}}
		}
	}}, &target{}
	name := file(t, "")
	a.send(t, f, "-events", "-state", name).says(t, 1, "       3  delivered", "       2  unreadable, not sent",
		`not sent: "an event of the Events API": is not a JSON object`,
		`not sent: "an event of the Events API": created_at is missing; the export must include this field`)
	f.got(t, "auth0|0", "auth0|2", "auth0|4")
	if text := content(t, name); !strings.HasSuffix(text, "offset 4==\n") {
		t.Errorf("got %q, want the last offset: an unreadable event stays unreadable", text)
	}
}

// TestReplayResume continues an earlier run after the last event before which all were delivered, and from the
// beginning when that offset has expired.
func TestReplayResume(t *testing.T) {
	t.Parallel()
	name, a := file(t, ""), &tenant{users: usersAt(20, day(), time.Minute)}
	a.send(t, &target{answer: nth(8, status(401))}, "-events", "-state", name).says(t, 1, "       7  delivered")
	f := &target{}
	a.asked = nil
	a.send(t, f, "-events", "-state", name).says(t, 0, "      13  delivered")
	f.got(t, userIDs(20)[7:]...)
	if !strings.Contains(a.asked[0], "from=6%3D%3D") {
		t.Errorf("went on with %s", a.asked[0])
	}
	a.asked, a.answer = nil, nth(1, status(410))
	a.send(t, &target{}, "-events", "-state", name).says(t, 0, "      20  delivered by an earlier run", "       0  delivered",
		"the offset in the state file has expired: reading from -from again, and skipping delivered users")
}

// TestReplayParallel saves no offset before all events up to it are processed.
func TestReplayParallel(t *testing.T) {
	t.Parallel()
	name, a := file(t, ""), &tenant{users: usersAt(12, day(), time.Minute)}
	fifth := registration.DeriveID("acme-dev", "auth0|4", "2026-11-21T00:04:00.000Z")
	f := &target{answer: func(w http.ResponseWriter, r *http.Request, n int) bool {
		return r.Header.Get("Idempotency-Key") == fifth && status(422)(w, r, n) // refused: a person must handle it
	}}
	a.send(t, f, "-events", "-state", name, "-parallel", "4").says(t, 1, "      11  delivered", "       1  not delivered")
	if text := content(t, name); strings.Contains(text, "offset 4==") || !strings.Contains(text, "offset 3==") {
		t.Errorf("got %q, want the offset before the fifth user", text)
	}
	f = &target{}
	a.send(t, f, "-events", "-state", name).says(t, 0, "       7  delivered by an earlier run", "       1  delivered")
	f.got(t, "auth0|4")
}

// TestMessages reads server-sent events according to the standard.
func TestMessages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]message{
		"":                                     nil,
		"\n\n\n":                               nil,
		"data: a":                              nil, // not ended
		"data: a\n\n":                          {{data: []byte("a")}},
		"data:a\r\n\r\ndata:b\r\r":             {{data: []byte("a")}, {data: []byte("b")}},
		"data: a\ndata:\ndata: b\n\n":          {{data: []byte("a\n\nb")}},
		": c\n\nevent: x\nid: 1\n\n":           {{}, {event: "x", id: "1"}},
		"id: a\x00b\nretry: 5\n\n":             {{retry: 5 * time.Millisecond}},
		"retry: -5\nretry: x\nfoo: y\nbar\n\n": {{}},
		"\uFEFFdata:  a\n\n":                   {{data: []byte(" a")}},
	} {
		read := newMessages(strings.NewReader(text))
		var got []message
		m, err := read.next()
		for ; err == nil; m, err = read.next() {
			got = append(got, m)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(message{})); diff != "" || !errors.Is(err, io.EOF) {
			t.Errorf("%q: ended with %v (-want +got):\n%s", text, err, diff)
		}
	}
}

// FuzzMessages searches for a stream that breaks the reader.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(":c\n\nevent: user.created\r\nid: x\rdata: {}\n\n"))
	f.Add([]byte("data\ndata: \n\nretry: 99999999999999999999\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read := newMessages(strings.NewReader(string(text)))
		for m, err := read.next(); err == nil; m, err = read.next() {
			if strings.ContainsAny(m.event+m.id, "\r\n") {
				t.Errorf("got %+v", m)
			}
		}
	})
}
