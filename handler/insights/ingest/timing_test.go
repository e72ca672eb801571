package ingest_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/insights/ingest"
)

// The tests in this file run in bubbles, whose clocks advance only when all goroutines block, so times are exact.

func TestBatches(t *testing.T) {
	trackMany := func(s *ingest.Sender, n int, item string) {
		for range n {
			track(s, item)
		}
	}
	for _, c := range []struct {
		name string
		do   func(s *ingest.Sender)
		want []string // when requests arrive, and with how many items
	}{
		{"an item waits a second at most", func(s *ingest.Sender) { trackMany(s, 1, "m") }, []string{"1s: 1"}},
		{"items that come meanwhile go along", func(s *ingest.Sender) {
			trackMany(s, 1, "m")
			<-time.After(900 * time.Millisecond)
			trackMany(s, 2, "m")
			<-time.After(200 * time.Millisecond)
			trackMany(s, 3, "m")
		}, []string{"1s: 3", "2.1s: 3"}},
		{"many do not wait", func(s *ingest.Sender) {
			trackMany(s, 999, "m")
			<-time.After(time.Millisecond)
			trackMany(s, 2, "m")
		}, []string{"1ms: 1000", "1s: 1"}},
		{"a request has 1 MiB at most", func(s *ingest.Sender) {
			trackMany(s, 40, strings.Repeat("x", 30000))
		}, []string{"0s: 34", "1s: 6"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				s := newSender(t, ingest.Config{Transport: e})
				start := time.Now()
				c.do(s)
				<-time.After(10 * time.Second)
				var got []string
				for _, p := range e.requests() {
					got = append(got, fmt.Sprintf("%v: %d", p.at.Sub(start), p.items))
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestLargestItem has an item of 64 KiB and one that is larger.
func TestLargestItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t, ingest.Config{Transport: &endpoint{}})
		track(s, strings.Repeat("x", 64<<10))
		track(s, strings.Repeat("x", 64<<10+1))
		<-time.After(2 * time.Second)
		want := ingest.Stats{Tracked: 2, Accepted: 1, Dropped: 1, Reason: "too large"}
		if diff := cmp.Diff(want, s.Stats()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
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
		e := &endpoint{script: many(9, step{status: 503})}
		s := newSender(t, ingest.Config{Transport: e})
		track(s, "first")
		<-time.After(5*time.Minute - time.Millisecond) // then the minute's telemetry-stats comes, too
		chance := false
		grow := func(pauses []time.Duration) {
			for i, p := range pauses {
				longest := min(time.Second<<i, time.Minute)
				if p < longest/2 || p > longest {
					t.Errorf("pause %d is %v, want %v to %v", i, p, longest/2, longest)
				}
				chance = chance || p != longest
			}
		}
		grow(pauses(e)[:9])
		if !chance || s.Stats().Accepted == 0 {
			t.Errorf("chance in the pauses: %t, %+v", chance, s.Stats())
		}
		n := len(e.requests())
		e.then(step{}, many(2, step{status: broken})...)
		track(s, "second")
		<-time.After(20 * time.Second)
		grow(pauses(e)[n : n+2])
	})
}

func TestRetryAfter(t *testing.T) {
	const second, late = time.Second, 330 * time.Second
	for header, want := range map[string]struct{ from, to time.Duration }{
		"30":                            {30 * second, 33 * second},
		"Sat, 01 Jan 2000 00:00:21 GMT": {20 * second, 22 * second}, // the answer comes in the first second of 2000
		"Sat Jan  1 00:00:21 2000":      {20 * second, 22 * second},
		"86400":                         {300 * second, late},
		"Sun, 31 Dec 2000 00:00:00 GMT": {300 * second, late},
		"Fri, 31 Dec 1999 23:00:00 GMT": {second / 2, second},
		"99999999999999999999":          {second / 2, second},
		"0":                             {second / 2, second},
		"-5":                            {second / 2, second},
		"soon":                          {second / 2, second},
		"":                              {second / 2, second},
	} {
		for status, first := range map[string]step{"429": {status: 429}, "439": {status: 439}, "206": itemwise(http.StatusTooManyRequests)} {
			t.Run(header+", "+status, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					first.retryAfter = header
					e := &endpoint{script: []step{first}}
					s := newSender(t, ingest.Config{Transport: e})
					track(s, "first")
					<-time.After(1100 * time.Millisecond)
					track(s, "second")
					<-time.After(10 * time.Minute)
					// Both items wait for the endpoint. After a 439 the first one is dropped.
					if got := pauses(e)[0]; got < want.from || got > max(want.to, 1100*time.Millisecond) {
						t.Errorf("the next request came after %v, want %v to %v", got, want.from, want.to)
					}
				})
			})
		}
	}
}

// TestPoison has a batch that the endpoint never accepts. Others must not wait for it, and it must be dropped at last.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{byDefault: step{check: func(p post) *step {
			if p.first == "poison" {
				return &step{status: 500}
			}
			return nil
		}}}
		s := newSender(t, ingest.Config{Transport: e})
		track(s, "poison")
		<-time.After(1500 * time.Millisecond)
		for range 30 {
			track(s, "m")
			<-time.After(2 * time.Second)
		}
		want := ingest.Stats{Tracked: 32, Accepted: 31, Dropped: 1, Reason: "refused"} // with one telemetry-stats
		if diff := cmp.Diff(want, s.Stats()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestOutageIsNoPoison has outages with more failed attempts than the limit for a bad batch. The trouble is logged now
// and then, not for every request.
func TestOutageIsNoPoison(t *testing.T) {
	for _, status := range []int{500, 503, 429, 401, broken} {
		synctest.Test(t, func(t *testing.T) {
			e, out := &endpoint{byDefault: step{status: status}}, &console{}
			s := newSender(t, ingest.Config{Transport: e, Log: out.log()})
			for range 3 {
				track(s, "m")
				<-time.After(30 * time.Minute)
			}
			e.then(step{})
			<-time.After(2 * time.Minute)
			if st := s.Stats(); st.Accepted != st.Tracked || len(e.requests()) < 60 {
				t.Errorf("%d: %+v", status, st)
			}
			if n := strings.Count(out.String(), "\n"); n < 5 || n > 11 {
				t.Errorf("%d lines in 90 minutes:\n%s", n, out)
			}
		})
	}
}

// TestOutageInMemory has outages in which more items come than the sender holds. Memory must stay limited, every item
// must be counted, and the items that were kept must arrive.
func TestOutageInMemory(t *testing.T) {
	const growth = 20 << 20
	for _, c := range []struct {
		name         string
		down         step
		size, number int // of items
		kept         int64
	}{
		{"usual items, refused", step{status: 503}, 900, 40_000, 16_000},
		{"large items, no answer", step{hang: true}, 30_000, 3000, 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{byDefault: c.down}
				s := newSender(t, ingest.Config{Transport: e})
				before, item := heap(), strings.Repeat("x", c.size)
				for i := range c.number {
					track(s, item)
					if i%(c.number/100) == 0 {
						<-time.After(time.Second)
					}
				}
				grown, st := heap()-before, s.Stats()
				addUp(t, st)
				if grown > growth || st.Dropped == 0 || st.Reason != "full" || st.Pending < c.kept {
					t.Fatalf("the heap grew by %d KiB; %+v", grown>>10, st)
				}
				e.then(step{})
				<-time.After(3 * time.Minute)
				after := s.Stats()
				if after.Dropped > st.Dropped+1 || after.Pending != 0 || after.Accepted != int64(len(e.accepted())) { // telemetry-stats itself
					t.Errorf("%+v", after)
				}
			})
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // the first leaves what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
