package load_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/test/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// relay is a server with configurable answers.
func relay(t *testing.T, h http.HandlerFunc) load.Target {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return load.Target{Addr: strings.TrimPrefix(s.URL, "http://")}
}

func dial(t *testing.T, to load.Target, n int) *load.Generator {
	t.Helper()
	g, err := load.Dial(t.Context(), to, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestClosedSendsDistinctRegistrations(t *testing.T) {
	t.Parallel()
	var (
		mu     sync.Mutex
		bodies = map[string]int{}
		gzip   atomic.Int64
	)
	to := relay(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/RegisterUser" || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.Header.Get("Accept-Encoding") == "gzip" {
			gzip.Add(1)
		}
		mu.Lock()
		defer mu.Unlock()
		bodies[string(body)]++
		_, _ = w.Write([]byte("{}"))
	})
	to.Gzip = true
	const callers = 8
	s := dial(t, to, callers).Closed(t.Context(), 50*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	if s.OK < callers || s.Failed != 0 || len(s.Latencies) != s.OK {
		t.Errorf("%d OK, %d failed (%v), %d latencies", s.OK, s.Failed, s.Failure, len(s.Latencies))
	}
	if len(bodies) != s.OK || int(gzip.Load()) != s.OK {
		t.Errorf("%d answers, %d different bodies, %d with gzip", s.OK, len(bodies), gzip.Load())
	}
	for body := range bodies {
		if id, ok := strings.CutPrefix(body, `{"userId":"auth0|`); !ok || len(id) != 24+len(`"}`) {
			t.Errorf("body %s", body)
			break
		}
	}
}

func TestAnswersThatDoNotCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"another status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }, "status 202"},
		{"refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }, "status 503"},
		{"no length", func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush() // then net/http cannot know it
		}, "Content-Length"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			panic(http.ErrAbortHandler)
		}, "EOF"},
		{"too long", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000")
			_, _ = w.Write(make([]byte, 9000))
		}, "8192"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := dial(t, relay(t, tc.answer), 1).Closed(t.Context(), 0)
			if s.OK != 0 || s.Failed != 1 || s.Failure == nil || !strings.Contains(s.Failure.Error(), tc.want) {
				t.Errorf("%d OK, %d failed: %v; want one failure with %q", s.OK, s.Failed, s.Failure, tc.want)
			}
		})
	}
}

func TestGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	to := relay(t, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
	})
	g := dial(t, to, 1)
	if s := g.Closed(t.Context(), 0); s.Failed != 1 {
		t.Fatalf("%d failed, want the first", s.Failed)
	}
	if s := g.Closed(t.Context(), 0); s.OK != 1 || s.Failed != 0 || s.Failure != nil {
		t.Errorf("then %d OK, %d failed: %v", s.OK, s.Failed, s.Failure)
	}
}

// TestOpenCountsFromWhenDue delays the first answer of the only connection until the second registration has been due
// for a while: this wait belongs to the second one's latency, although it was sent late.
func TestOpenCountsFromWhenDue(t *testing.T) {
	t.Parallel()
	const late = 50 * time.Millisecond
	var n atomic.Int64
	to := relay(t, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == 1 {
			<-time.After(late)
		}
	})
	s, err := dial(t, to, 1).Open(t.Context(), []time.Duration{0, time.Nanosecond})
	if err != nil || s.OK != 2 {
		t.Fatalf("%d OK: %v, %v", s.OK, err, s.Failure)
	}
	if fast := load.Percentile(s.Latencies, 0.5); fast < late-time.Millisecond {
		t.Errorf("the second registration took %v, and waited %v for the first", fast, late)
	}
}

// TestOpenDoesNotWait has a relay that does not answer before every connection has sent a registration.
func TestOpenDoesNotWait(t *testing.T) {
	t.Parallel()
	const conns = 32
	var (
		n   atomic.Int64
		all = make(chan struct{})
	)
	to := relay(t, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == conns {
			close(all)
		}
		<-all
	})
	// The last registrations find no free connection, and wait.
	s, err := dial(t, to, conns).Open(t.Context(), make([]time.Duration, conns+5))
	if err != nil || s.OK != conns+5 || s.Failed != 0 {
		t.Errorf("%d OK, %d failed: %v, %v", s.OK, s.Failed, err, s.Failure)
	}
}

func TestContextEndsARun(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(context.Context, *load.Generator) load.Sample{
		"closed": func(ctx context.Context, g *load.Generator) load.Sample { return g.Closed(ctx, time.Hour) },
		"open": func(ctx context.Context, g *load.Generator) load.Sample {
			s, _ := g.Open(ctx, []time.Duration{0, 0, 0}) // its error would be of the timer
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			to := relay(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the connection end
				cancel()
				<-r.Context().Done()
			})
			if s := run(ctx, dial(t, to, 2)); s.OK != 0 || s.Failed == 0 {
				t.Errorf("%d OK, %d failed", s.OK, s.Failed)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	if err := load.Once(t.Context(), load.Target{Addr: strings.TrimPrefix(s.URL, "http://")}); err == nil {
		t.Error("an answer from nobody")
	}
}
