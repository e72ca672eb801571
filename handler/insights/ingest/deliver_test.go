package ingest_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/insights/ingest"
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

// TestPoison has a batch that the endpoint never accepts. Others must not wait for it, and it must be dropped at last.
func TestPoison(t *testing.T) {
	refusesPoison := func(p post) step {
		if p.first == "poison" {
			return step{status: 500}
		}
		return step{}
	}
	bubble(t, &endpoint{answer: refusesPoison}, func(x rig) {
		x.track("poison")
		<-time.After(1500 * time.Millisecond)
		for range 30 {
			x.track("m")
			<-time.After(2 * time.Second)
		}
		want := ingest.Stats{Tracked: 32, Accepted: 31, Dropped: 1, Reason: "refused"} // with one telemetry-stats
		if diff := cmp.Diff(want, x.Stats()); diff != "" {
			x.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestOutageIsNoPoison has outages with more failed attempts than the limit for a bad batch. The trouble is logged now
// and then, not for every request.
func TestOutageIsNoPoison(t *testing.T) {
	for _, status := range []int{500, 503, 429, 401, broken} {
		bubble(t, &endpoint{byDefault: step{status: status}}, func(x rig) {
			for range 3 {
				x.track("m")
				<-time.After(30 * time.Minute)
			}
			x.then(step{})
			<-time.After(2 * time.Minute)
			if st := x.Stats(); st.Accepted != st.Tracked || len(x.requests()) < 60 {
				x.Errorf("%d: %+v", status, st)
			}
			if n := strings.Count(x.console.String(), "\n"); n < 5 || n > 11 {
				x.Errorf("%d lines in 90 minutes:\n%s", n, x.console.String())
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
			bubble(t, &endpoint{byDefault: c.down}, func(x rig) {
				before, item := heap(), strings.Repeat("x", c.size)
				for i := range c.number {
					x.track(item)
					if i%(c.number/100) == 0 {
						<-time.After(time.Second)
					}
				}
				grown, st := heap()-before, x.counted()
				if grown > growth || st.Dropped == 0 || st.Reason != "full" || st.Pending < c.kept {
					x.Fatalf("the heap grew by %d KiB; %+v", grown>>10, st)
				}
				x.then(step{})
				<-time.After(3 * time.Minute)
				after := x.Stats()
				if after.Dropped > st.Dropped+1 || after.Pending != 0 || after.Accepted != int64(len(x.accepted())) { // telemetry-stats itself
					x.Errorf("%+v", after)
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

// TestConsole checks the sender's log lines: each trouble once, losses once a minute, and the recovery.
func TestConsole(t *testing.T) {
	const (
		trouble = ` msg="Application Insights does not accept telemetry" `
		again   = `level=INFO msg="Application Insights accepts telemetry again"`
		lost    = `level=WARN msg="Telemetry was lost" lost=`
	)
	for _, c := range []struct {
		name   string
		script []step
		want   []string
	}{
		{"nothing wrong", nil, nil},
		{"an outage", many(4, step{status: 503}), []string{`level=WARN` + trouble + `status=503`, again}},
		{"the wrong key", many(3, step{status: 400}), []string{
			`level=ERROR` + trouble + `status=400`,
			lost + `2 reason="status 400" tracked=2 accepted=0 rejected=2 dropped=0 pending=0`,
			again,
			lost + `1 reason="status 400" tracked=4 accepted=1 rejected=3 dropped=0 pending=0`,
		}},
		{"a role that does not count yet", many(5, step{status: 403}), []string{`level=WARN` + trouble + `status=403`, again}},
		{"the cap", many(1, step{status: 402}), []string{
			`level=ERROR` + trouble + `status=402`, again, lost + `1 reason=capped tracked=2 accepted=1 rejected=0 dropped=1 pending=0`,
		}},
		{"an answer that says nothing", many(1, step{status: 206, body: "<html>secret</html>"}), []string{
			`level=WARN` + trouble + `status=206`, again, lost + `1 reason=unread tracked=2 accepted=1 rejected=0 dropped=1 pending=0`,
		}},
		{"no connection", many(2, step{status: broken}), []string{`level=WARN` + trouble + `reason="the connection broke"`, again}},
		{"no answer", many(2, step{hang: true}), []string{`level=WARN` + trouble + `reason="no answer in time"`, again}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, &endpoint{script: c.script}, func(x rig) {
				x.track("first")
				<-time.After(30 * time.Second)
				x.track("second")
				<-time.After(35 * time.Second)
				x.track("third")
				<-time.After(8 * time.Minute)
				var got []string
				for line := range strings.Lines(x.console.String()) {
					_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), " ")
					got = append(got, line)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					x.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}
