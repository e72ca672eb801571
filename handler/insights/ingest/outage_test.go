package ingest_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/insights/ingest"
)

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
