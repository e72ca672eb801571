package ingest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBatches(t *testing.T) {
	trackMany := func(x rig, n int, item string) {
		for range n {
			x.track(item)
		}
	}
	for _, c := range []struct {
		name string
		do   func(x rig)
		want []string // when requests arrive, and with how many items; what is lost
	}{
		{"an item waits a second at most", func(x rig) { x.track("m") }, []string{"1s: 1"}},
		{"items that come meanwhile go along", func(x rig) {
			x.track("m")
			<-time.After(900 * time.Millisecond)
			trackMany(x, 2, "m")
			<-time.After(200 * time.Millisecond)
			trackMany(x, 3, "m")
		}, []string{"1s: 3", "2.1s: 3"}},
		{"many do not wait", func(x rig) {
			trackMany(x, 999, "m")
			<-time.After(time.Millisecond)
			trackMany(x, 2, "m")
		}, []string{"1ms: 1000", "1s: 1"}},
		{"a request has 1 MiB at most", func(x rig) { trackMany(x, 40, strings.Repeat("x", 30000)) }, []string{"0s: 34", "1s: 6"}},
		{"an item has 64 KiB at most", func(x rig) {
			x.track(strings.Repeat("x", 64<<10))
			x.track(strings.Repeat("x", 64<<10+1))
		}, []string{"1s: 1", "lost 1: too large"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, &endpoint{}, func(x rig) {
				start := time.Now()
				c.do(x)
				<-time.After(10 * time.Second)
				var got []string
				for _, p := range x.requests() {
					got = append(got, fmt.Sprintf("%v: %d", p.at.Sub(start), p.items))
				}
				if st := x.Stats(); st.Lost() > 0 {
					got = append(got, fmt.Sprintf("lost %d: %s", st.Lost(), st.Reason))
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					x.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// pauses returns the times between requests.
func (e *endpoint) pauses() (out []time.Duration) {
	posts := e.requests()
	for i := 1; i < len(posts); i++ {
		out = append(out, posts[i].at.Sub(posts[i-1].at))
	}
	return out
}

func TestBackoffGrowsAndStartsAnew(t *testing.T) {
	bubble(t, &endpoint{script: many(9, step{status: 503})}, func(x rig) {
		x.track("first")
		<-time.After(5*time.Minute - time.Millisecond) // then the minute's telemetry-stats comes, too
		chance := false
		grow := func(pauses []time.Duration) {
			for i, p := range pauses {
				longest := min(time.Second<<i, time.Minute)
				if p < longest/2 || p > longest {
					x.Errorf("pause %d is %v, want %v to %v", i, p, longest/2, longest)
				}
				chance = chance || p != longest
			}
		}
		grow(x.pauses()[:9])
		if !chance || x.Stats().Accepted == 0 {
			x.Errorf("chance in the pauses: %t, %+v", chance, x.Stats())
		}
		n := len(x.requests())
		x.then(step{}, many(2, step{status: broken})...)
		x.track("second")
		<-time.After(20 * time.Second)
		grow(x.pauses()[n : n+2])
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
				first.retryAfter = header
				bubble(t, &endpoint{script: []step{first}}, func(x rig) {
					x.track("first")
					<-time.After(1100 * time.Millisecond)
					x.track("second")
					<-time.After(10 * time.Minute)
					// Both items wait for the endpoint. After a 439 the first one is dropped.
					if got := x.pauses()[0]; got < want.from || got > max(want.to, 1100*time.Millisecond) {
						x.Errorf("the next request came after %v, want %v to %v", got, want.from, want.to)
					}
				})
			})
		}
	}
}

// TestReports checks that the counters are sent once a minute while they change.
func TestReports(t *testing.T) {
	bubble(t, &endpoint{script: []step{{status: 400}}}, func(x rig) {
		<-time.After(10*time.Minute + 10*time.Second)
		if n := len(x.requests()); n != 0 {
			x.Fatalf("%d requests of a sender that has nothing to tell", n)
		}
		x.track("refused")
		x.track("refused")
		<-time.After(time.Minute)
		x.track("accepted")
		<-time.After(time.Hour) // in which nothing more happens
		want := []string{
			"stats {Tracked:2 Accepted:0 Rejected:2 Dropped:0 Pending:0 Reason:status 400}", "accepted",
			"stats {Tracked:4 Accepted:2 Rejected:2 Dropped:0 Pending:0 Reason:status 400}", // the first one counts, too
		}
		if diff := cmp.Diff(want, x.accepted()); diff != "" {
			x.Errorf("items (-want +got):\n%s", diff)
		}
	})
}
