package load_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/test/load"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial opens connections to a server with these answers.
func dial(t *testing.T, gzip bool, conns int, answers http.HandlerFunc) *load.Generator {
	t.Helper()
	s := httptest.NewServer(answers)
	t.Cleanup(s.Close)
	g, err := load.Dial(t.Context(), load.Target{Addr: strings.TrimPrefix(s.URL, "http://"), Gzip: gzip}, conns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestClosedSendsDistinctRegistrations(t *testing.T) {
	t.Parallel()
	const callers = 8
	var ids sync.Map
	g := dial(t, true, callers, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		id, ok := strings.CutPrefix(string(body), `{"userId":"auth0|`)
		_, known := ids.LoadOrStore(id, true)
		if err != nil || !ok || known || len(id) != 24+len(`"}`) || r.Method != http.MethodPost || r.URL.Path != "/api/RegisterUser" ||
			r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept-Encoding") != "gzip" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte("{}"))
	})
	s, err := g.Run(t.Context(), 50*time.Millisecond, nil)
	if err != nil || s.OK < callers || s.Failed != 0 || len(s.Latencies) != s.OK {
		t.Errorf("%d OK, %d failed (%v), %d latencies: %v", s.OK, s.Failed, s.Failure, len(s.Latencies), err)
	}
}

// The next registration after one that failed is sent over a new connection.
func TestAnswersThatDoNotCount(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]http.HandlerFunc{
		"status 202": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
		"status 503": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
		"Content-Length": func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush() // then net/http cannot know it
		},
		"EOF": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			g := dial(t, false, 1, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == 1 {
					answer(w, r)
				}
			})
			if s, _ := g.Run(t.Context(), 0, nil); s.OK != 0 || s.Failed != 1 || s.Failure == nil || !strings.Contains(s.Failure.Error(), want) {
				t.Errorf("%d OK, %d failed: %v; want one failure with %q", s.OK, s.Failed, s.Failure, want)
			}
			if s, _ := g.Run(t.Context(), 0, nil); s.OK != 1 || s.Failed != 0 || s.Failure != nil {
				t.Errorf("then %d OK, %d failed: %v", s.OK, s.Failed, s.Failure)
			}
		})
	}
}

// TestOpenCountsFromWhenDue delays the first answer of the only connection until the second registration has been due
// for a while: this wait belongs to the second one's latency, although it was sent late.
func TestOpenCountsFromWhenDue(t *testing.T) {
	t.Parallel()
	const late = 50 * time.Millisecond
	var n atomic.Int64
	g := dial(t, false, 1, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == 1 {
			<-time.After(late)
		}
	})
	s, err := g.Run(t.Context(), 0, slices.Values([]time.Duration{0, time.Nanosecond}))
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
	var n atomic.Int64
	all := make(chan struct{})
	g := dial(t, false, conns, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == conns {
			close(all)
		}
		<-all
	})
	// The last registrations find no free connection, and wait.
	s, err := g.Run(t.Context(), 0, slices.Values(make([]time.Duration, conns+5)))
	if err != nil || s.OK != conns+5 || s.Failed != 0 {
		t.Errorf("%d OK, %d failed: %v, %v", s.OK, s.Failed, err, s.Failure)
	}
}

// After the end of the context no more registrations are sent.
func TestContextEndsARun(t *testing.T) {
	t.Parallel()
	for name, times := range map[string]iter.Seq[time.Duration]{"closed": nil, "open": load.Steady(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			g := dial(t, false, 2, func(http.ResponseWriter, *http.Request) { cancel() })
			if s, err := g.Run(ctx, time.Hour, times); s.OK == 0 || s.Failed != 0 || err != nil {
				t.Errorf("%d OK, %d failed: %v, %v", s.OK, s.Failed, err, s.Failure)
			}
		})
	}
}

func TestNobodyWaitsLongerThanTheDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	g := dial(t, false, 2, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the connection end
		<-r.Context().Done()
	})
	if s, err := g.Run(ctx, time.Hour, nil); s.OK != 0 || s.Failed < 2 || !errors.Is(s.Failure, os.ErrDeadlineExceeded) || err != nil {
		t.Errorf("%d OK, %d failed: %v, %v", s.OK, s.Failed, err, s.Failure)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100) // 1 to 100, the last first
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, c := range []struct {
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{9, 3}, 0.5, 3},
		{[]time.Duration{9, 3, 5}, 0.5, 5},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred[:10], 0.99, 100},
		{hundred, 1e-9, 1},
	} {
		if got := load.Percentile(slices.Clone(c.values), c.p); got != c.want {
			t.Errorf("percentile %v of %d values: %d, want %d", c.p, len(c.values), got, c.want)
		}
	}
}

func TestPoisson(t *testing.T) {
	t.Parallel()
	const rate, length, want = 1000, 20 * time.Second, 20_000
	arrivals := func(seed uint64) []time.Duration { return slices.Collect(load.Poisson(rate, length, seed)) }
	due, long := arrivals(1), 0.0
	for i := range due[1:] {
		if due[i+1]-due[i] > time.Second/rate {
			long++
		}
	}
	if !slices.IsSorted(due) || due[0] < 0 || due[len(due)-1] >= length {
		t.Errorf("the schedule is not in order, or outside its time")
	}
	if off := math.Abs(float64(len(due) - want)); off > 5*math.Sqrt(want) {
		t.Errorf("%d arrivals, want %d give or take 5 standard deviations", len(due), want)
	}
	// The gaps of a Poisson process are exponential: 1/e of them are longer than the mean.
	if share := long / float64(len(due)-1); math.Abs(share-1/math.E) > 0.02 {
		t.Errorf("%.3f of the gaps are longer than the mean, want %.3f", share, 1/math.E)
	}
	if !slices.Equal(due, arrivals(1)) || slices.Equal(due, arrivals(2)) {
		t.Error("a seed and a schedule do not belong together")
	}
}

func TestAlarm(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	until, err := load.Alarm(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, 50 * time.Microsecond, 3 * time.Millisecond} {
		due := time.Now().Add(d)
		if err := until(due); err != nil || time.Until(due) > 0 {
			t.Errorf("in %v: returned %v early, %v", d, time.Until(due), err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- until(time.Now().Add(time.Hour)) }()
	end()
	if wait.Receive(t, "the end of the wait", ended) == nil {
		t.Error("an alarm whose context has ended waited, and the hour is over")
	}
}
