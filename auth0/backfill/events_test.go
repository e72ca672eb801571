package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// eventsAPI stands in for Auth0's Events API, according to its documentation ("Consume Events with the Events API",
// August 2026): server-sent events with offsets, comments and offset-only messages between them, connections that end
// after a while.
type eventsAPI struct {
	t      *testing.T
	users  []created
	each   int                                                      // events of one connection
	before func(w http.ResponseWriter, r *http.Request, n int) bool // may answer a connection in its place, by its number from 1
	event  func(i int, event map[string]any)                        // changes an event
	end    string                                                   // is written at the end of a connection

	mu          sync.Mutex
	connections []string // queries
	tokens      int
}

func (e *eventsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.URL.Path == "/oauth/token" {
		e.tokens++
		_, _ = fmt.Fprintf(w, `{"access_token":"%s%d","expires_in":86400}`, apiToken, e.tokens)
		return
	}
	q := r.URL.Query()
	if r.URL.Path != "/api/v2/events" || r.Header.Get("Accept") != "text/event-stream" || q.Get("event_type") != "user.created" || q.Has("from") == q.Has("from_timestamp") {
		e.t.Errorf("not understood: %s", r.URL)
	}
	e.connections = append(e.connections, r.URL.RawQuery)
	if e.before != nil && e.before(w, r, len(e.connections)) {
		return
	}
	e.stream(w, q.Get("from"), q.Get("from_timestamp"))
}

func (e *eventsAPI) stream(w io.Writer, from, since string) {
	_, _ = fmt.Fprint(w, ":connected\n\nretry: 2000\n\n")
	var first int
	if from != "" {
		at, err := strconv.Atoi(strings.TrimSuffix(from, "=="))
		if err != nil {
			e.t.Errorf("no offset: %s", from)
		}
		first = at + 1
	} else {
		first, _ = slices.BinarySearchFunc(e.users, moment(e.t, since), func(u created, at time.Time) int { return u.at.Compare(at) })
	}
	for i := first; i < min(first+e.each, len(e.users)); i++ {
		_, _ = fmt.Fprintf(w, "event: user.created\nid: %d==\ndata: %s\n\n", i, e.message(i))
		if i%3 == 2 {
			_, _ = fmt.Fprintf(w, "event: offset-only\nid: %d==\ndata: {\"offset\":\"%d==\"}\n\n: heartbeat\n\n", i, i)
		}
	}
	_, _ = fmt.Fprint(w, e.end)
}

func (e *eventsAPI) message(i int) string {
	u := e.users[i]
	at := u.at.Format("2006-01-02T15:04:05.000Z")
	event := map[string]any{
		"id": fmt.Sprintf("evt_%022d", i), "type": "user.created", "specversion": "1.0", "source": "urn:auth0:acme-dev.eu.auth0.com", "time": at,
		"a0tenant": "acme-dev", "a0stream": "est_38ANnv8pQhqsZrX2VFbftv",
		"data": map[string]any{"object": map[string]any{"user_id": u.id, "created_at": at, "email": "jane@example.com"}},
	}
	if e.event != nil {
		e.event(i, event)
	}
	text, err := json.Marshal(map[string]any{"offset": strconv.Itoa(i) + "==", "event": event})
	if err != nil {
		e.t.Error(err)
	}
	return string(text)
}

// replay sends the users of a day, in virtual time, and returns the function that got them.
func (e *eventsAPI) replay(t *testing.T, f *target, args ...string) result {
	t.Helper()
	e.t = t
	if e.each == 0 {
		e.each = 100
	}
	args = append([]string{"-events", "-rate", "1000", "-parallel", "1", "-from", "2026-11-21T00:00:00Z", "-to", "2026-11-22T00:00:00Z"}, args...)
	return start(t.Context(), t, world{"https://fn.example": f, "https://acme.eu.auth0.com": e}, apiEnv(), "", args...)
}

// streamedTo is a function that accepts events of a stream: it derives the event's id.
func streamedTo(t *testing.T) *target {
	t.Helper()
	f := &target{}
	f.answer = func(w http.ResponseWriter, _ *http.Request, p post, _ int) bool {
		e := eventOf(t, p)
		f.mu.Lock()
		f.posts[len(f.posts)-1].userID = e.UserID
		f.mu.Unlock()
		_, _ = fmt.Fprintf(w, `{"eventId":%q,"topic":"user-events","partition":0,"offset":1,"timestamp":1}`, e.ID)
		return true
	}
	return f
}

func eventOf(t *testing.T, p post) registration.Event {
	t.Helper()
	e, err := registration.Decoder{}.Decode(registration.Body{Reader: strings.NewReader(p.body)}, p.id, time.Now())
	if err != nil {
		t.Errorf("the function would refuse it: %v", err)
	}
	return e
}

// TestReplay sends all users of whom Auth0 has an event, including social users, over as many connections as needed.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		users []created
		each  int
		end   string
	}{
		"nobody":                   {nil, 100, ""},
		"one connection":           {usersAt(50, day(), time.Minute), 100, ""},
		"many connections":         {usersAt(50, day(), time.Minute), 7, ""},
		"cut off in a message":     {usersAt(50, day(), time.Minute), 7, "event: user.created\nid: x\ndata: {\"off"},
		"an error at the end":      {usersAt(50, day(), time.Minute), 7, "event: error\ndata: {\"error\":{\"code\":\"connection_timeout\",\"message\":\"jane@example.com\"}}\n\n"},
		"another error at the end": {usersAt(50, day(), time.Minute), 7, "event: error\ndata: jane@example.com\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				outside := []created{{"auth0|after", day().AddDate(0, 0, 1)}, {"auth0|late", day().AddDate(0, 0, 1).Add(2 * time.Minute)}}
				e := &eventsAPI{users: slices.Concat([]created{{"auth0|before", day().Add(-time.Millisecond)}}, c.users, outside), each: c.each, end: c.end}
				f := streamedTo(t)
				e.replay(t, f).says(t, 0, fmt.Sprintf("%8d  delivered", len(c.users)))
				if diff := cmp.Diff(userIDs(len(c.users)), f.ids()); diff != "" {
					t.Errorf("users (-want +got):\n%s", diff)
				}
				if e.tokens != 1 {
					t.Errorf("got %d tokens", e.tokens)
				}
			})
		})
	}
}

// TestReplayRequest checks the requests: the event's own ids, and of the user the id and the time, or with -profile
// everything.
func TestReplayRequest(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-profile=false", "-profile"} {
		synctest.Test(t, func(t *testing.T) {
			e := &eventsAPI{users: usersAt(1, day().Add(time.Hour), 0)}
			f := streamedTo(t)
			e.replay(t, f, flag).says(t, 0, "       1  delivered")
			object := `{"user_id":"auth0|0","created_at":"2026-11-21T01:00:00.000Z"}`
			if flag == "-profile" {
				object = `{"created_at":"2026-11-21T01:00:00.000Z","email":"jane@example.com","user_id":"auth0|0"}`
			}
			want := `{"specversion":"1.0","type":"user.created","id":"evt_0000000000000000000000","source":"urn:auth0:acme-dev.eu.auth0.com",` +
				`"time":"2026-11-21T01:00:00.000Z","a0tenant":"acme-dev","a0stream":"est_38ANnv8pQhqsZrX2VFbftv","data":{"object":` + object + `}}`
			var got, wanted any
			if err := errors.Join(json.Unmarshal([]byte(f.posts[0].body), &got), json.Unmarshal([]byte(want), &wanted)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", flag, diff)
			}
			event := eventOf(t, f.posts[0])
			if event.ID != registration.DeriveID("acme-dev", "auth0|0", "2026-11-21T01:00:00.000Z") || event.Auth0ID != "evt_0000000000000000000000" || event.Source != "urn:auth0:acme-dev" {
				t.Errorf("the function makes %+v of it", event)
			}
		})
	}
}

// TestReplayOddEvents shows that an event without a user does not prevent others from being sent, and has the members
// that Auth0's example omits.
func TestReplayOddEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &eventsAPI{users: usersAt(5, day(), time.Minute), event: func(i int, event map[string]any) {
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
		}}
		f := streamedTo(t)
		e.replay(t, f).says(t, 1, "       3  delivered", "       2  not understood, not sent",
			`not sent: "an event of the Events API": is no JSON object`,
			`not sent: "an event of the Events API": created_at is missing; the export must name the field`)
		if diff := cmp.Diff([]string{"auth0|0", "auth0|2", "auth0|4"}, f.ids()); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
	})
}

// TestReplayResume continues an earlier run: after the last event before which all were delivered.
func TestReplayResume(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		name := file(t, "")
		e := &eventsAPI{users: usersAt(20, day(), time.Minute)}
		f := streamedTo(t)
		took := f.answer
		f.answer = func(w http.ResponseWriter, r *http.Request, p post, n int) bool {
			if n == 8 {
				return answerWith(401)(w, r, p, n)
			}
			return took(w, r, p, n)
		}
		e.replay(t, f, "-state", name).says(t, 1, "       7  delivered")
		f, e.connections = streamedTo(t), nil
		e.replay(t, f, "-state", name).says(t, 0, "      13  delivered")
		if diff := cmp.Diff(userIDs(20)[7:], f.ids()); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
		if !strings.Contains(e.connections[0], "from=6%3D%3D") {
			t.Errorf("went on with %s", e.connections[0])
		}

		// Auth0 has deleted the events: the offset is not valid any more.
		f, e.connections = streamedTo(t), nil
		e.before = func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n == 1 {
				w.WriteHeader(http.StatusGone)
			}
			return n == 1
		}
		e.replay(t, f, "-state", name).says(t, 0, "      20  delivered by an earlier run", "       0  delivered",
			"the offset of the state file has expired: all is read from -from again, and who was delivered is left out")
	})
}

// TestReplayParallel saves no offset before all events up to it are processed.
func TestReplayParallel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		name := file(t, "")
		e := &eventsAPI{users: usersAt(12, day(), time.Minute)}
		f := streamedTo(t)
		took := f.answer
		f.answer = func(w http.ResponseWriter, r *http.Request, p post, n int) bool {
			if eventOf(t, p).UserID == "auth0|4" {
				return answerWith(422)(w, r, p, n) // refused: a person must handle it
			}
			return took(w, r, p, n)
		}
		e.replay(t, f, "-state", name, "-parallel", "4").says(t, 1, "      11  delivered", "       1  not delivered")
		text, err := os.ReadFile(name)
		if err != nil || strings.Contains(string(text), "offset 4==") || !strings.Contains(string(text), "offset 3==") {
			t.Errorf("got %q (%v), want the offset before the fifth user", text, err)
		}
		f = streamedTo(t)
		e.replay(t, f, "-state", name).says(t, 0, "       7  delivered by an earlier run", "       1  delivered")
		if diff := cmp.Diff([]string{"auth0|4"}, f.ids()); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
	})
}

// TestReplayFails shows the messages if the events cannot be read.
func TestReplayFails(t *testing.T) {
	t.Parallel()
	status := func(code int) func(http.ResponseWriter, *http.Request, int) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(code); return true }
	}
	for says, before := range map[string]func(http.ResponseWriter, *http.Request, int) bool{
		"GET /api/v2/events: HTTP 403: the application needs the permission read:events": status(403),
		"GET /api/v2/events: HTTP 400": status(400),
		"GET /api/v2/events: HTTP 401": status(401),
		"GET /api/v2/events: HTTP 500": status(500),
		"GET /api/v2/events: HTTP 429": status(429),
		"HTTP 410: Auth0 keeps no events of that time any more; use a search or an export": status(410),
		"GET /api/v2/events: connection reset":                                             status(broken),
		"the stream ended: processing_error": func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			_, _ = fmt.Fprint(w, "event: error\ndata: {\"error\":{\"code\":\"processing_error\"}}\n\n")
			return true
		},
		"no answer in time": func(_ http.ResponseWriter, r *http.Request, _ int) bool { <-r.Context().Done(); return true },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := streamedTo(t)
				r := (&eventsAPI{before: before}).replay(t, f)
				if r.code != 1 || !strings.Contains(r.stderr, "backfill: read the events: ") || !strings.Contains(r.stderr, says+"\n") {
					t.Errorf("got exit code %d and %q, want %q", r.code, r.stderr, says)
				}
			})
		})
	}
}

// TestReplayAgain continues after temporary failures: an expired token, a rate limit, a broken connection.
func TestReplayAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 429, 500, 503, broken} {
		synctest.Test(t, func(t *testing.T) {
			e := &eventsAPI{users: usersAt(20, day(), time.Minute), each: 6}
			e.before = func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n%2 == 0 {
					w.WriteHeader(status)
				}
				return n%2 == 0
			}
			f := streamedTo(t)
			e.replay(t, f).says(t, 0, "      20  delivered")
			if diff := cmp.Diff(userIDs(20), f.ids()); diff != "" {
				t.Errorf("%d: users (-want +got):\n%s", status, diff)
			}
		})
	}
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
		for {
			m, err := read.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(message{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// FuzzMessages searches for a stream that breaks the reader.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(":c\n\nevent: user.created\r\nid: x\rdata: {}\n\n"))
	f.Add([]byte("data\ndata: \n\nretry: 99999999999999999999\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read := newMessages(strings.NewReader(string(text)))
		for {
			m, err := read.next()
			if err != nil {
				return
			}
			if strings.ContainsAny(m.event+m.id, "\r\n") {
				t.Errorf("got %+v", m)
			}
		}
	})
}
