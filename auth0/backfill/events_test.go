package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

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
