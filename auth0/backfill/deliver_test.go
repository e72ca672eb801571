package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answerWith answers with a status.
func answerWith(status int, header ...string) func(http.ResponseWriter, *http.Request, post, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ post, _ int) bool {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		return true
	}
}

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
		r := f.send(t, exportOf(12), "-rate", "1000", "-parallel", "3", "-")
		r.says(t, 0, "      12  delivered", "10 read, 6 delivered, 0 not; 1.2 a second")
		if most.Load() != 3 {
			t.Errorf("%d at a time", most.Load())
		}
	})
}

// TestAgain shows which failures are retried and when, and that a retry has the same event id.
func TestAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		header []string
		after  time.Duration // the second attempt after the first
	}{
		"503":               {503, nil, time.Second},
		"503, 2 s":          {503, []string{"Retry-After", "2"}, 2 * time.Second},
		"503, an hour":      {503, []string{"Retry-After", "3600"}, time.Minute},
		"503, nonsense":     {503, []string{"Retry-After", "soon"}, time.Second},
		"503, at a time":    {503, []string{"Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT"}, 30 * time.Second},
		"429":               {429, nil, time.Second},
		"408":               {408, nil, time.Second},
		"500":               {500, nil, time.Second},
		"broken connection": {broken, nil, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var times []time.Time
				f := &target{answer: func(w http.ResponseWriter, r *http.Request, p post, number int) bool {
					times = append(times, time.Now())
					return number == 1 && answerWith(c.status, c.header...)(w, r, p, number)
				}}
				f.send(t, exportOf(1), "-").says(t, 0, "       1  delivered")
				if len(times) != 2 || times[1].Sub(times[0]).Round(time.Second) != c.after || f.posts[0] != f.posts[1] {
					t.Errorf("got %v %+v, want a second attempt after %v", times, f.posts, c.after)
				}
			})
		})
	}
}

// TestHanging shows that requests without an answer are given up.
func TestHanging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &target{answer: func(_ http.ResponseWriter, r *http.Request, _ post, _ int) bool {
			<-r.Context().Done()
			return true
		}}
		f.send(t, exportOf(1), "-").says(t, 1, `not delivered: "auth0|0": no answer in time`, "       1  not delivered")
		if len(f.posts) != attempts {
			t.Errorf("got %d attempts, want %d", len(f.posts), attempts)
		}
	})
}

// TestDown shows that the program stops early if the function accepts no user.
func TestDown(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"503": 503, "429": 429, "broken connection": broken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &target{answer: answerWith(status)}
				r := f.send(t, exportOf(1000), "-parallel", "1", "-")
				r.says(t, 1, "backfill: stopped: 10 users in a row were not delivered; run it again later", "      10  not delivered")
				if n := len(f.posts); n != 10*attempts {
					t.Errorf("got %d attempts", n)
				}
			})
		})
	}
}

// TestFinal shows that a failure that concerns all users stops the program at once.
func TestFinal(t *testing.T) {
	t.Parallel()
	for says, answer := range map[string]func(http.ResponseWriter, *http.Request, post, int) bool{
		"HTTP 401: check FUNCTION_KEY":                            answerWith(401),
		"HTTP 403: check FUNCTION_KEY":                            answerWith(403),
		"HTTP 404: check FUNCTION_URL":                            answerWith(404),
		"HTTP 405: check FUNCTION_URL":                            answerWith(405),
		"HTTP 307: check FUNCTION_URL":                            answerWith(307, "Location", "https://elsewhere.example/"),
		"HTTP 204, but not from the function: check FUNCTION_URL": answerWith(204),
		"HTTP 200, but not from the function: check FUNCTION_URL": func(w http.ResponseWriter, _ *http.Request, _ post, _ int) bool {
			_, _ = w.Write([]byte("<!doctype html>"))
			return true
		},
		"HTTP 202, but not from the function: check FUNCTION_URL": func(w http.ResponseWriter, _ *http.Request, _ post, _ int) bool {
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"eventId":"a0pur_of-another"}`))
			return true
		},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			f := &target{answer: answer}
			f.send(t, exportOf(100), "-rate", "1000", "-parallel", "1", "-").says(t, 1, "backfill: stopped: "+says, "       0  delivered")
			if n := len(f.posts); n != 1 {
				t.Errorf("got %d requests", n)
			}
		})
	}
}

// TestRefused shows that a refused user is reported, and does not prevent the others from being sent.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 409, 413, 415, 422} {
		f := &target{answer: func(w http.ResponseWriter, r *http.Request, p post, n int) bool {
			return p.userID == "auth0|\x1b[2J" && answerWith(status)(w, r, p, n)
		}}
		evil := `{"user_id":"auth0|\u001b[2J","created_at":"2026-11-21T00:00:00Z"}` + "\n"
		r := f.send(t, evil+exportOf(3), "-rate", "1000", "-")
		r.says(t, 1, fmt.Sprintf(`not delivered: "auth0|\x1b[2J": HTTP %d`, status), "       3  delivered", "       1  not delivered")
		if len(f.posts) != 4 {
			t.Errorf("got %d requests", len(f.posts))
		}
	}
}

// TestProfileRefused shows that after the function has refused a profile, the user is sent once without it, at once
// and with the same event id.
func TestProfileRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 413} {
		f := &target{answer: func(w http.ResponseWriter, r *http.Request, p post, n int) bool {
			return strings.Contains(p.body, "jane@example.com") && p.userID != "auth0|1" && answerWith(status)(w, r, p, n)
		}}
		f.send(t, exportOf(3), "-profile", "-rate", "1000", "-parallel", "1", "-").
			says(t, 0, "       3  delivered", "       2  of them without the profile, which the function refused")
		if diff := cmp.Diff([]string{"auth0|0", "auth0|0", "auth0|1", "auth0|2", "auth0|2"}, f.ids()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		if f.posts[0].id != f.posts[1].id || strings.Contains(f.posts[1].body, "jane") {
			t.Errorf("got %+v and then %+v", f.posts[0], f.posts[1])
		}
	}
	// Without a profile there is nothing to omit, and the reason is reported.
	f := &target{answer: func(w http.ResponseWriter, _ *http.Request, _ post, _ int) bool {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"type":"urn:userrelay:problem:invalid-registration","detail":"jane@example.com"}`))
		return true
	}}
	f.send(t, exportOf(1), "-rate", "1000", "-").says(t, 1, `not delivered: "auth0|0": HTTP 400 invalid-registration`, "       1  not delivered")
	if len(f.posts) != 1 {
		t.Errorf("got %d requests", len(f.posts))
	}
}

// TestOutbox counts users that the function stores in its outbox.
func TestOutbox(t *testing.T) {
	t.Parallel()
	f := &target{answer: func(w http.ResponseWriter, _ *http.Request, p post, n int) bool {
		if n%2 == 1 {
			w.WriteHeader(http.StatusAccepted)
			_, _ = fmt.Fprintf(w, `{"eventId":%q,"outbox":"userrelay-outbox","messageId":"b9f0a9e4"}`, p.id)
		}
		return n%2 == 1
	}}
	f.send(t, exportOf(4), "-rate", "1000", "-").says(t, 0, "       4  delivered", "       2  of them in the outbox")
}

// TestResume runs it again after it was stopped: no user is omitted, and no delivered user is sent again.
func TestResume(t *testing.T) {
	t.Parallel()
	name := file(t, "")
	f := &target{answer: func(w http.ResponseWriter, r *http.Request, p post, n int) bool {
		return p.userID == "auth0|3" && answerWith(401)(w, r, p, n)
	}}
	args := []string{"-rate", "1000", "-parallel", "1", "-state", name, "-"}
	f.send(t, exportOf(6), args...).says(t, 1, "       3  delivered")
	f = &target{}
	f.send(t, exportOf(6), args...).says(t, 0, "       3  delivered by an earlier run", "       3  delivered")
	if diff := cmp.Diff(userIDs(6)[3:], f.ids()); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	f = &target{}
	f.send(t, exportOf(6), args...).says(t, 0, "       6  delivered by an earlier run", "       0  delivered")
	if len(f.posts) > 0 {
		t.Errorf("sent again: %v", f.ids())
	}
}

// TestInterrupt shows that an interrupted run says so, prints its counts, and saves its state.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	name := file(t, "")
	args := []string{"-rate", "1000", "-parallel", "1", "-state", name, "-"}
	ctx, interrupt := context.WithCancel(t.Context())
	f := &target{answer: func(_ http.ResponseWriter, r *http.Request, _ post, n int) bool {
		if n == 3 {
			interrupt()
			<-r.Context().Done()
		}
		return false
	}}
	start(ctx, t, world{"https://fn.example": f}, functionEnv(), exportOf(6), args...).
		says(t, 1, "backfill: interrupted; with -state the next run leaves out who was delivered", "       2  delivered", "       0  not delivered")
	f = &target{}
	f.send(t, exportOf(6), args...).says(t, 0, "       4  delivered")
}

// TestDryRun sends nothing and needs no function.
func TestDryRun(t *testing.T) {
	t.Parallel()
	r := start(t.Context(), t, world{}, []string{"AUTH0_TENANT=acme-dev"}, exportOf(90)+"x\n"+exportOf(1), "-dry-run", "-")
	r.says(t, 1, "      92  users read", "       1  not understood, not sent", "       1  read more than once",
		"      90  to be sent, created from 2026-11-21T00:00:00Z to 2026-11-21T00:01:29Z")
	if strings.Contains(r.stdout, "delivered") {
		t.Errorf("it speaks of deliveries:\n%s", r.stdout)
	}
	if lines := strings.Split(r.stderr, "\n"); !slices.Equal(lines, []string{`not sent: "-, line 91": ` + errNoJSON.Error(), ""}) {
		t.Errorf("got %q", lines)
	}
}
