package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key      = "k3y/of+the=function=="
	secret   = "s3cr3t-of-the-application"
	apiToken = "t0ken-of-the-api"
)

// world has the hosts that the program can reach, by name. It needs no network, so that tests can use virtual time.
type world map[string]http.Handler

func (w world) RoundTrip(r *http.Request) (*http.Response, error) {
	host, ok := w[r.URL.Scheme+"://"+r.URL.Host]
	if !ok {
		return nil, errors.New("no such host")
	}
	answered := make(chan *http.Response, 1)
	go func() {
		recorder := httptest.NewRecorder()
		host.ServeHTTP(recorder, r)
		answered <- recorder.Result()
	}()
	select {
	case res := <-answered:
		if res.StatusCode == broken {
			return nil, errors.New("connection reset")
		}
		return res, nil
	case <-r.Context().Done():
		<-answered // handlers here end with the request
		return nil, r.Context().Err()
	}
}

func (w world) client() *http.Client {
	return &http.Client{Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

const (
	functionURL = "https://fn.example/api/RegisterUser"
	broken      = 999 // this answer breaks the connection
)

// post is a request that the function got.
type post struct {
	key, id string
	userID  string
	body    string
}

// target is the function. answer may answer in its place; false leaves it to the function.
type target struct {
	mu     sync.Mutex
	posts  []post
	answer func(w http.ResponseWriter, r *http.Request, p post, number int) bool
}

func (f *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // it is a buffer
	var registration struct {
		UserID string `json:"userId"`
	}
	_ = json.Unmarshal(body, &registration) // a profile may hold data that this does not read
	p := post{r.Header.Get("X-Functions-Key"), r.Header.Get("Idempotency-Key"), registration.UserID, string(body)}
	f.mu.Lock()
	f.posts = append(f.posts, p)
	number := len(f.posts)
	f.mu.Unlock()
	if f.answer != nil && f.answer(w, r, p, number) {
		return
	}
	_, _ = fmt.Fprintf(w, `{"eventId":%q,"topic":"user-events","partition":0,"offset":%d,"timestamp":1}`, p.id, number)
}

// ids returns the ids of the posted users, in order.
func (f *target) ids() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.posts {
		ids = append(ids, p.userID)
	}
	return ids
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

// start runs the program in the world, and checks that its output holds no secret and no part of a profile.
func start(ctx context.Context, t *testing.T, w world, env []string, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, env, w.client(), strings.NewReader(stdin), &stdout, &stderr)
	for _, hidden := range []string{key, secret, apiToken, "jane@example.com", "fn.example"} {
		if strings.Contains(stdout.String()+stderr.String(), hidden) {
			t.Errorf("the output holds %q:\n%s%s", hidden, &stdout, &stderr)
		}
	}
	return result{code, stdout.String(), stderr.String()}
}

// send runs it with only the function.
func (f *target) send(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return start(t.Context(), t, world{"https://fn.example": f}, functionEnv(), stdin, args...)
}

func functionEnv() []string {
	return []string{"FUNCTION_URL=" + functionURL, "FUNCTION_KEY=" + key, "AUTH0_TENANT=acme-dev"}
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

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // a buffer accepts everything
	_ = w.Close()
	return b.String()
}
