package ingest_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/insights/ingest"
)

// The tests in this file run in bubbles, whose clocks advance only when all goroutines block, so times are exact.

// sizes returns when requests arrived, since start, and how many items they had.
func sizes(e *endpoint, start time.Time) (out []string) {
	for _, p := range e.requests() {
		out = append(out, fmt.Sprintf("%v: %d", p.at.Sub(start), len(p.lines)))
	}
	return out
}

func TestBatches(t *testing.T) {
	track := func(s *ingest.Sender, n int) {
		for range n {
			trackTrace(s, "m")
		}
	}
	for _, c := range []struct {
		name string
		do   func(s *ingest.Sender)
		want []string
	}{
		{"an item waits a second at most", func(s *ingest.Sender) { track(s, 1) }, []string{"1s: 1"}},
		{"items that come meanwhile go along", func(s *ingest.Sender) {
			track(s, 1)
			<-time.After(900 * time.Millisecond)
			track(s, 2)
			<-time.After(200 * time.Millisecond)
			track(s, 3)
		}, []string{"1s: 3", "2.1s: 3"}},
		{"many do not wait", func(s *ingest.Sender) {
			track(s, 999)
			<-time.After(time.Millisecond)
			track(s, 2)
		}, []string{"1ms: 1000", "1s: 1"}},
		{"a request has 1 MiB at most", func(s *ingest.Sender) {
			for range 40 {
				trackTrace(s, strings.Repeat("x", 30000))
			}
		}, []string{"0s: 34", "1s: 6"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				s := newSender(t, ingest.Config{Transport: e})
				start := time.Now()
				c.do(s)
				<-time.After(10 * time.Second)
				if diff := cmp.Diff(c.want, sizes(e, start)); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRequestHasAThousandItemsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{byDefault: step{status: 503}}
		s := newSender(t, ingest.Config{Transport: e})
		for range 7000 {
			trackTrace(s, "m")
		}
		<-time.After(10 * time.Second)
		e.then(step{})
		<-time.After(time.Minute)
		largest := 0
		for _, p := range e.requests() {
			largest = max(largest, len(p.lines))
		}
		if items := len(e.messages(t)); largest > 1000 || largest < 900 || items < 7000 {
			t.Errorf("%d items, %d in the largest request", items, largest)
		}
	})
}

// pauses returns the times between requests.
func pauses(e *endpoint) (out []time.Duration) {
	posts := e.requests()
	for i := 1; i < len(posts); i++ {
		out = append(out, posts[i].at.Sub(posts[i-1].at))
	}
	return out
}

func TestBackoffGrowsAndStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := append(many(9, step{status: 503}), step{})
		script = append(script, many(2, step{status: broken})...)
		e := &endpoint{script: script}
		s := newSender(t, ingest.Config{Transport: e})
		trackTrace(s, "first")
		<-time.After(5*time.Minute - time.Millisecond) // then the minute's telemetry-stats comes, too
		chance := false
		for i, p := range pauses(e)[:9] {
			longest := min(time.Second<<i, time.Minute)
			if p < longest/2 || p > longest {
				t.Errorf("pause %d is %v, want %v to %v", i, p, longest/2, longest)
			}
			chance = chance || p != longest
		}
		if !chance {
			t.Error("no chance in the pauses")
		}
		if s.Stats().Accepted == 0 {
			t.Error("nothing accepted")
		}

		n := len(e.requests())
		e.then(step{}, many(2, step{status: broken})...)
		trackTrace(s, "second")
		<-time.After(20 * time.Second)
		for i, p := range pauses(e)[n : n+2] {
			longest := time.Second << i
			if p < longest/2 || p > longest {
				t.Errorf("after a success: pause %d is %v, want %v to %v", i, p, longest/2, longest)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name     string
		header   func() string
		from, to time.Duration
	}{
		{"seconds", func() string { return "30" }, 30 * time.Second, 33 * time.Second},
		{"date", func() string { return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat) }, 19 * time.Second, 22 * time.Second},
		{"date of 1977's form", func() string { return time.Now().Add(20 * time.Second).UTC().Format(time.ANSIC) }, 19 * time.Second, 22 * time.Second},
		{"a day", func() string { return "86400" }, 5 * time.Minute, 330 * time.Second},
		{"a year, as date", func() string { return time.Now().Add(8760 * time.Hour).UTC().Format(http.TimeFormat) }, 5 * time.Minute, 330 * time.Second},
		{"more seconds than there are", func() string { return "99999999999999999999" }, time.Second / 2, time.Second},
		{"now", func() string { return "0" }, time.Second / 2, time.Second},
		{"negative", func() string { return "-5" }, time.Second / 2, time.Second},
		{"gone by", func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, time.Second / 2, time.Second},
		{"no time at all", func() string { return "soon" }, time.Second / 2, time.Second},
		{"none", func() string { return "" }, time.Second / 2, time.Second},
	} {
		for _, status := range []int{429, 503, 206, 439} {
			t.Run(fmt.Sprintf("%s, %d", c.name, status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					first := step{status: status, retryAfter: c.header()}
					if status == 206 {
						first.body = `{"errors":[{"index":0,"statusCode":429}]}`
					}
					e := &endpoint{script: []step{first}}
					s := newSender(t, ingest.Config{Transport: e})
					trackTrace(s, "first")
					<-time.After(1100 * time.Millisecond)
					trackTrace(s, "second")
					<-time.After(10 * time.Minute)
					// Both items wait for the endpoint. After a 439 the first one is dropped.
					if got := pauses(e)[0]; got < c.from || got > max(c.to, 1100*time.Millisecond) {
						t.Errorf("the next request came after %v, want %v to %v", got, c.from, c.to)
					}
					addUp(t, s.Stats())
				})
			})
		}
	}
}

// TestPoison has a batch that the endpoint never accepts. Others must not wait for it, and it must be dropped at last.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{byDefault: step{check: func(p post) *step {
			if strings.Contains(p.lines[0], "poison") {
				return &step{status: 500}
			}
			return nil
		}}}
		s := newSender(t, ingest.Config{Transport: e})
		trackTrace(s, "poison")
		<-time.After(1500 * time.Millisecond)
		for i := range 30 {
			trackTrace(s, fmt.Sprint("m", i))
			<-time.After(2 * time.Second)
			addUp(t, s.Stats())
		}
		got := s.Stats()
		want := ingest.Stats{Tracked: 32, Accepted: 31, Dropped: 1, Reason: "refused"} // with one telemetry-stats
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestOutageIsNoPoison has an outage with more failed attempts than the limit for a bad batch.
func TestOutageIsNoPoison(t *testing.T) {
	for _, status := range []int{500, 503, 429, 401, broken} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{byDefault: step{status: status}}
				s := newSender(t, ingest.Config{Transport: e})
				for range 3 {
					trackTrace(s, "m")
					<-time.After(8 * time.Hour)
				}
				e.then(step{})
				<-time.After(2 * time.Minute)
				if st := s.Stats(); st.Accepted != st.Tracked || st.Tracked < 3 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}
