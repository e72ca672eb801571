package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestRate shows that users are sent exactly at the rate of -rate.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &target{}
		begin := time.Now()
		f.send(t, exportOf(21), "-rate", "5", "-").says(t, 0, "      21  delivered")
		if took := time.Since(begin); took != 21*time.Second/5 {
			t.Errorf("took %v", took)
		}
	})
}

// TestParallel shows that at most -parallel users are sent at a time, however slow the function is, and that the
// program prints its progress.
func TestParallel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int32
		f := &target{answer: func(http.ResponseWriter, *http.Request, post, int) bool {
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
	})
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
		"503, at a time":    {503, "Sat, 01 Jan 2000 00:00:30 GMT", 30 * time.Second},
		"429":               {429, "", time.Second},
		"408":               {408, "", time.Second},
		"500":               {500, "", time.Second},
		"broken connection": {broken, "", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var times []time.Time
				f := &target{answer: func(w http.ResponseWriter, r *http.Request, p post, n int) bool {
					times = append(times, time.Now())
					return n == 1 && answerWith(c.status, "Retry-After", c.retryAfter)(w, r, p, n)
				}}
				f.send(t, exportOf(1), "-").says(t, 0, "       1  delivered")
				if len(times) != 2 || times[1].Sub(times[0]).Round(time.Second) != c.after || f.posts[0] != f.posts[1] {
					t.Errorf("got %v %+v, want a second attempt after %v", times, f.posts, c.after)
				}
			})
		})
	}
}

// TestAnswers sends 12 users to a function that always gives the same answer. A refused user does not prevent the
// others from being sent; a failure that concerns all users stops the program at once, other failures after ten users.
func TestAnswers(t *testing.T) {
	t.Parallel()
	text := func(status int, text string) answer {
		return func(w http.ResponseWriter, _ *http.Request, p post, _ int) bool {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, text, p.event)
			return true
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request, _ post, _ int) bool { <-r.Context().Done(); return true }
	const down = "backfill: stopped: 10 users in a row were not delivered; run it again later"
	for name, c := range map[string]struct {
		answer answer
		code   int
		says   string
		count  string
		posts  int
	}{
		"outbox":  {text(202, `{"eventId":%q,"outbox":"userrelay-outbox"}`), 0, "      12  of them in the outbox", "      12  delivered", 12},
		"503":     {answerWith(503), 1, down, "      10  not delivered", 10 * attempts},
		"429":     {answerWith(429), 1, down, "      10  not delivered", 10 * attempts},
		"broken":  {answerWith(broken), 1, down, "      10  not delivered", 10 * attempts},
		"hanging": {hang, 1, `not delivered: "auth0|9": no answer in time`, "      10  not delivered", 10 * attempts},

		"400":    {answerWith(400), 1, `not delivered: "auth0|11": HTTP 400`, "      12  not delivered", 12},
		"409":    {answerWith(409), 1, `not delivered: "auth0|11": HTTP 409`, "      12  not delivered", 12},
		"413":    {answerWith(413), 1, `not delivered: "auth0|11": HTTP 413`, "      12  not delivered", 12},
		"415":    {answerWith(415), 1, `not delivered: "auth0|11": HTTP 415`, "      12  not delivered", 12},
		"422":    {answerWith(422), 1, `not delivered: "auth0|11": HTTP 422`, "      12  not delivered", 12},
		"reason": {text(400, `{"type":"urn:userrelay:problem:invalid-registration","x":%q}`), 1, `not delivered: "auth0|0": HTTP 400 invalid-registration`, "      12  not delivered", 12},
		"odd":    {text(400, `{"type":"urn:userrelay:problem:jane@example.com","x":%q}`), 1, `not delivered: "auth0|0": HTTP 400`, "      12  not delivered", 12},

		"401":         {answerWith(401), 1, "backfill: stopped: HTTP 401: check FUNCTION_KEY", "       0  delivered", 1},
		"403":         {answerWith(403), 1, "backfill: stopped: HTTP 403: check FUNCTION_KEY", "       0  delivered", 1},
		"404":         {answerWith(404), 1, "backfill: stopped: HTTP 404: check FUNCTION_URL", "       0  delivered", 1},
		"405":         {answerWith(405), 1, "backfill: stopped: HTTP 405: check FUNCTION_URL", "       0  delivered", 1},
		"redirect":    {answerWith(307, "Location", "https://elsewhere.example/"), 1, "backfill: stopped: HTTP 307: check FUNCTION_URL", "       0  delivered", 1},
		"no text":     {answerWith(204), 1, "backfill: stopped: HTTP 204, but not from the function: check FUNCTION_URL", "       0  delivered", 1},
		"a page":      {text(200, "<!doctype html>%s"), 1, "backfill: stopped: HTTP 200, but not from the function: check FUNCTION_URL", "       0  delivered", 1},
		"another app": {text(202, `{"eventId":"a0pur_of-another","x":%q}`), 1, "backfill: stopped: HTTP 202, but not from the function: check FUNCTION_URL", "       0  delivered", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &target{answer: c.answer}
				f.send(t, exportOf(12), "-").says(t, c.code, c.says, c.count)
				if n := len(f.posts); n != c.posts {
					t.Errorf("got %d requests, want %d", n, c.posts)
				}
			})
		})
	}
}

// TestEvilID shows that control characters of a user id do not reach the terminal.
func TestEvilID(t *testing.T) {
	t.Parallel()
	(&target{answer: answerWith(422)}).send(t, `{"user_id":"auth0|\u001b[2J","created_at":"2026-11-21T00:00:00Z"}`, "-").
		says(t, 1, `not delivered: "auth0|\x1b[2J": HTTP 422`)
}

// TestProfileRefused shows that after the function has refused a profile, the user is sent once without it, at once
// and with the same event id.
func TestProfileRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 413} {
		f := &target{answer: func(w http.ResponseWriter, r *http.Request, p post, n int) bool {
			return strings.Contains(p.body, "jane@example.com") && p.user != "auth0|1" && answerWith(status)(w, r, p, n)
		}}
		f.send(t, exportOf(3), "-profile", "-").says(t, 0, "       3  delivered", "       2  of them without the profile, which the function refused")
		f.got(t, "auth0|0", "auth0|0", "auth0|1", "auth0|2", "auth0|2")
		if f.posts[0].id != f.posts[1].id || strings.Contains(f.posts[1].body, "jane") {
			t.Errorf("got %+v and then %+v", f.posts[0], f.posts[1])
		}
	}
}

// TestResume runs the program again after it was stopped or interrupted at the fourth user: no user is omitted, and no
// delivered user is sent again.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stop func(w http.ResponseWriter, r *http.Request, interrupt func())
		says []string
	}{
		"stopped": {func(w http.ResponseWriter, _ *http.Request, _ func()) { w.WriteHeader(http.StatusUnauthorized) }, []string{"       1  not delivered"}},
		"interrupted": {func(_ http.ResponseWriter, r *http.Request, interrupt func()) { interrupt(); <-r.Context().Done() }, []string{
			"backfill: interrupted; with -state the next run skips the delivered users", "       0  not delivered",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			name := file(t, "")
			ctx, interrupt := context.WithCancel(t.Context())
			f := &target{answer: func(w http.ResponseWriter, r *http.Request, _ post, n int) bool {
				if n == 4 {
					c.stop(w, r, interrupt)
				}
				return n == 4
			}}
			start(ctx, t, world{"https://fn.example": f}, functionEnv(), exportOf(6), "-state", name, "-").says(t, 1, append(c.says, "       3  delivered")...)
			f = &target{}
			f.send(t, exportOf(6), "-state", name, "-").says(t, 0, "       3  delivered by an earlier run", "       3  delivered")
			f.got(t, userIDs(6)[3:]...)
			f = &target{}
			f.send(t, exportOf(6), "-state", name, "-").says(t, 0, "       6  delivered by an earlier run", "       0  delivered")
			f.got(t)
		})
	}
}

// TestDryRun sends nothing and needs no function.
func TestDryRun(t *testing.T) {
	t.Parallel()
	r := start(t.Context(), t, world{}, []string{"AUTH0_TENANT=acme-dev"}, exportOf(90)+"x\n"+exportOf(1), "-dry-run", "-")
	r.says(t, 1, "      92  users read", "       1  unreadable, not sent", "       1  read more than once",
		"      90  to be sent, created from 2026-11-21T00:00:00Z to 2026-11-21T00:01:29Z")
	if strings.Contains(r.stdout, "delivered") || r.stderr != `not sent: "-, line 91": `+errNoJSON.Error()+"\n" {
		t.Errorf("got %q and %q", r.stdout, r.stderr)
	}
}
