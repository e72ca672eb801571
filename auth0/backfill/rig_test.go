package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key      = "k3y/of+the=function=="
	secret   = "s3cr3t-of-the-application"
	apiToken = "t0ken-of-the-api"

	functionURL = "https://fn.example/api/RegisterUser"
	acme        = "urn:auth0:acme-dev" // the source of the tenant's events
	broken      = 999                  // this answer breaks the connection
)

// world has the hosts that the program can reach, by name. It needs no network, so that tests can use virtual time.
type world map[string]http.Handler

func (w world) RoundTrip(r *http.Request) (*http.Response, error) {
	host, ok := w[r.URL.Scheme+"://"+r.URL.Host]
	if !ok {
		return nil, errors.New("no such host")
	}
	recorder := httptest.NewRecorder()
	host.ServeHTTP(recorder, r) // handlers here end with the request
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if recorder.Code == broken {
		return nil, errors.New("connection reset")
	}
	return recorder.Result(), nil
}

func (w world) client() *http.Client {
	return &http.Client{Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer answers a request in place of a stand-in. It returns false to leave that to the stand-in. n counts from 1.
type answer func(w http.ResponseWriter, r *http.Request, n int) bool

// status answers with a status, and header names and values. With 200 it leaves the rest to the stand-in.
func status(code int, header ...string) answer {
	return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		for pair := range slices.Chunk(header, 2) {
			w.Header().Set(pair[0], pair[1])
		}
		if code != http.StatusOK {
			w.WriteHeader(code)
		}
		return code != http.StatusOK
	}
}

// text answers with a text, in which $ID stands for the request's event id.
func text(code int, body string) answer {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.WriteHeader(code)
		_, _ = strings.NewReplacer("$ID", r.Header.Get("Idempotency-Key")).WriteString(w, body)
		return true
	}
}

// hang answers nothing.
func hang(_ http.ResponseWriter, r *http.Request, _ int) bool {
	<-r.Context().Done()
	return true
}

// nth answers only the nth request.
func nth(number int, a answer) answer {
	return func(w http.ResponseWriter, r *http.Request, n int) bool { return n == number && a(w, r, n) }
}

// post is a request that the function got, and what the handler makes of it.
type post struct {
	key, id, body                string
	user, event, source, auth0ID string
}

// target is the function. It decodes requests as the handler does.
type target struct {
	env       []string // settings besides environment
	answer    answer
	interrupt func() // interrupts the run

	mu    sync.Mutex
	posts []post
	times []time.Time // of posts
}

func (f *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // it is a buffer
	p := post{key: r.Header.Get("X-Functions-Key"), id: r.Header.Get("Idempotency-Key"), body: string(body)}
	e, err := registration.Decoder{}.Decode(registration.Body{Reader: bytes.NewReader(body)}, p.id, time.Now())
	p.user, p.event, p.source, p.auth0ID = e.UserID, e.ID, e.Source, e.Auth0ID
	f.mu.Lock()
	f.posts, f.times = append(f.posts, p), append(f.times, time.Now())
	n := len(f.posts)
	f.mu.Unlock()
	switch {
	case f.answer != nil && f.answer(w, r, n):
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	default:
		_, _ = fmt.Fprintf(w, `{"eventId":%q,"topic":"user-events","partition":0,"offset":%d,"timestamp":1}`, p.event, n)
	}
}

// got checks the users of all requests, in order.
func (f *target) got(t *testing.T, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var users []string
	for _, p := range f.posts {
		users = append(users, p.user)
	}
	if diff := cmp.Diff(want, users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

// send runs the program with this function alone, in virtual time.
func (f *target) send(t *testing.T, stdin string, args ...string) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		f.interrupt = interrupt
		r = start(ctx, t, world{"https://fn.example": f}, f.env, stdin, args...)
	})
	return r
}

// result is how a run ended.
type result struct {
	code           int
	stdout, stderr string
}

// says checks the exit code and that the output has these lines.
func (r result) says(t *testing.T, code int, lines ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("got exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, line := range lines {
		if !strings.Contains(r.stdout+r.stderr, line+"\n") {
			t.Errorf("the output does not say %q:\n%s%s", line, r.stdout, r.stderr)
		}
	}
}

// environment has all settings but those of -verify.
func environment() []string {
	return []string{
		"FUNCTION_URL=" + functionURL, "FUNCTION_KEY=" + key, "AUTH0_TENANT=acme-dev",
		"AUTH0_DOMAIN=acme.eu.auth0.com", "AUTH0_CLIENT_ID=deployer", "AUTH0_CLIENT_SECRET=" + secret,
	}
}

// start runs the program in the world with these settings besides environment, fast and in order if the arguments say
// nothing else, and checks that its output has no secret and no part of a profile.
func start(ctx context.Context, t *testing.T, w world, env []string, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args = append([]string{"-rate", "1000", "-parallel", "1"}, args...)
	code := run(ctx, args, append(environment(), env...), w.client(), strings.NewReader(stdin), &stdout, &stderr)
	for _, hidden := range []string{key, secret, apiToken, "jane@example.com", "fn.example"} {
		if strings.Contains(stdout.String()+stderr.String(), hidden) {
			t.Errorf("the output holds %q:\n%s%s", hidden, &stdout, &stderr)
		}
	}
	return result{code, stdout.String(), stderr.String()}
}

// exportOf returns an export of n users, created a second apart, starting on 2026-11-21.
func exportOf(n int) string {
	var text strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&text, `{"user_id":"auth0|%d","email":"jane@example.com","created_at":"2026-11-21T00:%02d:%02d.000Z"}`+"\n", i, i/60, i%60)
	}
	return text.String()
}

func userIDs(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("auth0|%d", i))
	}
	return ids
}

// file writes a file and returns its name.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func content(t *testing.T, name string) string {
	t.Helper()
	return string(must.Get[[]byte](t)(os.ReadFile(name)))
}

// table reads a table of auth0/testdata, which other tests use as well.
func table[T any](t *testing.T, name string) (rows []T) {
	t.Helper()
	if err := json.Unmarshal([]byte(content(t, filepath.Join("..", "testdata", name))), &rows, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return rows
}
