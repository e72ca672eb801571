package main

import (
	"cmp"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"userrelay/handler/registration"
)

// TestRate shows that users are sent exactly at the rate of -rate.
func TestRate(t *testing.T) {
	t.Parallel()
	f := &target{}
	f.send(t, exportOf(21), "-rate", "5", "-").says(t, 0, "      21  delivered")
	if took := f.times[20].Sub(f.times[0]); took != 20*time.Second/5 {
		t.Errorf("took %v", took)
	}
}

// TestParallel shows that at most -parallel users are sent at a time, however slow the function is, and that the
// program prints its progress.
func TestParallel(t *testing.T) {
	t.Parallel()
	var under, most atomic.Int32
	f := &target{answer: func(http.ResponseWriter, *http.Request, int) bool {
		under.Add(1)
		time.Sleep(2 * time.Second) //nolint:forbidigo // a slow answer, in virtual time
		most.Store(max(most.Load(), under.Load()))
		time.Sleep(time.Millisecond) //nolint:forbidigo // the others see it too
		under.Add(-1)
		return false
	}}
	f.send(t, exportOf(12), "-parallel", "3", "-").says(t, 0, "      12  delivered", "10 read, 6 delivered, 0 not delivered; 1.2 per second")
	if most.Load() != 3 {
		t.Errorf("%d at a time", most.Load())
	}
}

// TestAgain shows which failures are retried and when, and that a retry is the same request.
func TestAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		retryAfter string
		after      time.Duration // the second attempt after the first
	}{
		"503":               {503, "", time.Second},
		"503, 2 s":          {503, "2", 2 * time.Second},
		"503, an hour":      {503, "3600", time.Minute},
		"503, nonsense":     {503, "soon", time.Second},
		"503, at a time":    {503, "Sat, 01 Jan 2000 00:00:30 GMT", 30 * time.Second}, // virtual time begins at midnight
		"429":               {429, "", time.Second},
		"408":               {408, "", time.Second},
		"500":               {500, "", time.Second},
		"broken connection": {broken, "", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &target{answer: nth(1, status(c.status, "Retry-After", c.retryAfter))}
			f.send(t, exportOf(1), "-").says(t, 0, "       1  delivered")
			if len(f.times) != 2 || f.times[1].Sub(f.times[0]).Round(time.Second) != c.after || f.posts[0] != f.posts[1] {
				t.Errorf("got %v %+v, want a second attempt after %v", f.times, f.posts, c.after)
			}
		})
	}
}

// TestAnswers sends 12 users to a function that always gives the same answer. A refused user does not prevent the
// others from being sent; a failure that concerns all users stops the program at once, other failures after ten users.
// Control characters of the last user's id do not reach the terminal.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const (
		down    = "backfill: stopped: 10 users in a row were not delivered; run it again later"
		evil    = `{"user_id":"auth0|\u001b[2J","created_at":"2026-11-21T00:01:00Z"}`
		last    = `not delivered: "auth0|\x1b[2J": HTTP `
		stopped = "backfill: stopped: HTTP "
		foreign = ", but not from the function: check FUNCTION_URL"
	)
	for name, c := range map[string]struct {
		answer answer
		says   string
		count  string // "": none was delivered
		posts  int
	}{
		"outbox":  {text(202, `{"eventId":"$ID","outbox":"userrelay-outbox"}`), "      12  of them in the outbox", "      12  delivered", 12},
		"503":     {status(503), down, "      10  not delivered", 10 * attempts},
		"429":     {status(429), down, "      10  not delivered", 10 * attempts},
		"broken":  {status(broken), down, "      10  not delivered", 10 * attempts},
		"hanging": {hang, `not delivered: "auth0|9": no answer in time`, "      10  not delivered", 10 * attempts},

		"400":    {status(400), last + "400", "      12  not delivered", 12},
		"409":    {status(409), last + "409", "      12  not delivered", 12},
		"413":    {status(413), last + "413", "      12  not delivered", 12},
		"415":    {status(415), last + "415", "      12  not delivered", 12},
		"422":    {status(422), last + "422", "      12  not delivered", 12},
		"reason": {text(400, `{"type":"urn:userrelay:problem:invalid-registration"}`), last + "400 invalid-registration", "      12  not delivered", 12},
		"odd":    {text(400, `{"type":"urn:userrelay:problem:jane@example.com"}`), last + "400", "      12  not delivered", 12},

		"401":         {status(401), stopped + "401: check FUNCTION_KEY", "", 1},
		"403":         {status(403), stopped + "403: check FUNCTION_KEY", "", 1},
		"404":         {status(404), stopped + "404: check FUNCTION_URL", "", 1},
		"405":         {status(405), stopped + "405: check FUNCTION_URL", "", 1},
		"redirect":    {status(307, "Location", "https://elsewhere.example/"), stopped + "307: check FUNCTION_URL", "", 1},
		"no text":     {status(204), stopped + "204" + foreign, "", 1},
		"a page":      {text(200, "<!doctype html>"), stopped + "200" + foreign, "", 1},
		"another app": {text(202, `{"eventId":"a0pur_of-another"}`), stopped + "202" + foreign, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := 1
			if name == "outbox" {
				code = 0
			}
			f := &target{answer: c.answer}
			f.send(t, exportOf(11)+evil, "-").says(t, code, c.says, cmp.Or(c.count, "       0  delivered"))
			if n := len(f.posts); n != c.posts {
				t.Errorf("got %d requests, want %d", n, c.posts)
			}
		})
	}
}

// TestProfileRefused shows that after the function has refused a profile, the user is sent once without it, at once
// and with the same event id.
func TestProfileRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 413} {
		f := &target{answer: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return (n == 1 || n == 4) && status(code)(w, r, n) // the first and the third profile
		}}
		f.send(t, exportOf(3), "-profile", "-").says(t, 0, "       3  delivered", "       2  of them without the profile, which the function refused")
		f.got(t, "auth0|0", "auth0|0", "auth0|1", "auth0|2", "auth0|2")
		if f.posts[0].id != f.posts[1].id || strings.Contains(f.posts[1].body, "jane") || !strings.Contains(f.posts[3].body, "jane") {
			t.Errorf("got %+v", f.posts)
		}
	}
}

// TestResume runs the program again after it was stopped or interrupted at the fourth user: no user is omitted, and no
// delivered user is sent again.
func TestResume(t *testing.T) {
	t.Parallel()
	f := &target{}
	for says, stop := range map[string]answer{
		"       1  not delivered": status(http.StatusUnauthorized),
		"backfill: interrupted; with -state the next run skips the delivered users": func(w http.ResponseWriter, r *http.Request, n int) bool {
			f.interrupt()
			return hang(w, r, n)
		},
	} {
		name := file(t, "")
		f.posts, f.answer = nil, nth(4, stop)
		f.send(t, exportOf(6), "-state", name, "-").says(t, 1, says, "       3  delivered")
		f.posts = nil
		f.send(t, exportOf(6), "-state", name, "-").says(t, 0, "       3  delivered by an earlier run", "       3  delivered")
		f.got(t, userIDs(6)[3:]...)
		f.posts = nil
		f.send(t, exportOf(6), "-state", name, "-").says(t, 0, "       6  delivered by an earlier run", "       0  delivered")
		f.got(t)
	}
}

// TestState reads and continues the file that a run leaves, including a killed one. A file with other content is refused,
// and not changed.
func TestState(t *testing.T) {
	t.Parallel()
	const refused = "backfill: read the state: the file has other content; use a state file of this program, or a new one"
	id := registration.DeriveID("acme-dev", "auth0|0", "2026-11-21T00:00:00.000Z")
	other := registration.DeriveID("acme-dev", "auth0|1", "2026-11-21T00:00:01.000Z")
	for text, after := range map[string]string{
		"":                                 id + "\n" + other + "\n",
		"a0p":                              id + "\n" + other + "\n",
		id:                                 id + "\n" + other + "\n",
		id + "\n":                          id + "\n" + other + "\n",
		id + "\r\n":                        id + "\r\n" + other + "\n", // from Windows
		id + "\n" + other[:10]:             id + "\n" + other + "\n",
		exportOf(1):                        refused,
		"x":                                refused,
		"a0pur_\n":                         refused,
		id + "\nx\n":                       refused,
		id + id:                            refused,
		id + "\n\n":                        refused,
		"a0pur_" + strings.Repeat("0", 33): refused,
	} {
		name, f := file(t, text), &target{}
		r := f.send(t, exportOf(2), "-state", name, "-")
		if after == refused {
			r.says(t, 2, refused)
			f.got(t)
			after = text
		} else {
			f.got(t, userIDs(2)[strings.Count(text, "\n"):]...) // who is not on a whole line
		}
		if got := content(t, name); got != after {
			t.Errorf("%q has become %q, want %q", text, got, after)
		}
	}
}

// TestDryRun sends nothing and needs no function.
func TestDryRun(t *testing.T) {
	t.Parallel()
	f := &target{env: []string{"FUNCTION_URL=", "FUNCTION_KEY="}}
	r := f.send(t, exportOf(90)+"x\n"+exportOf(1), "-dry-run", "-")
	r.says(t, 1, "      92  users read", "       1  unreadable, not sent", "       1  read more than once",
		"      90  to be sent, created from 2026-11-21T00:00:00Z to 2026-11-21T00:01:29Z")
	if f.got(t); strings.Contains(r.stdout, "delivered") || r.stderr != `not sent: "-, line 91": `+errNoJSON.Error()+"\n" {
		t.Errorf("got %q and %q", r.stdout, r.stderr)
	}
}
