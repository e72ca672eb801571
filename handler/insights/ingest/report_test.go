package ingest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/insights/ingest"
)

// TestReports checks that the counters are sent once a minute while they change.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{script: []step{{status: 400}}}
		s := newSender(t, ingest.Config{Transport: e})
		<-time.After(10*time.Minute + 10*time.Second)
		if n := len(e.requests()); n != 0 {
			t.Fatalf("%d requests of a sender that has nothing to tell", n)
		}
		track(s, "refused")
		track(s, "refused")
		<-time.After(time.Minute)
		track(s, "accepted")
		<-time.After(time.Hour) // in which nothing more happens
		want := []string{
			"stats {Tracked:2 Accepted:0 Rejected:2 Dropped:0 Pending:0 Reason:status 400}", "accepted",
			"stats {Tracked:4 Accepted:2 Rejected:2 Dropped:0 Pending:0 Reason:status 400}", // the first one counts, too
		}
		if diff := cmp.Diff(want, e.accepted()); diff != "" {
			t.Errorf("items (-want +got):\n%s", diff)
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
			synctest.Test(t, func(t *testing.T) {
				out := &console{}
				s := newSender(t, ingest.Config{Transport: &endpoint{script: c.script}, Log: out.log()})
				track(s, "first")
				<-time.After(30 * time.Second)
				track(s, "second")
				<-time.After(35 * time.Second)
				track(s, "third")
				<-time.After(8 * time.Minute)
				var got []string
				for line := range strings.Lines(out.String()) {
					_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), " ")
					got = append(got, line)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}
