package ingest_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
)

// statsItems returns the properties of the items telemetry-stats that were accepted.
func statsItems(t *testing.T, e *endpoint) (all []map[string]string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, line := range e.accepted {
		var v struct {
			Tags map[string]string `json:"tags"`
			Data struct {
				BaseData struct {
					Message    string            `json:"message"`
					Severity   int               `json:"severityLevel"`
					Properties map[string]string `json:"properties"`
				} `json:"baseData"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		if d := v.Data.BaseData; d.Message == "telemetry-stats" {
			if d.Severity != 1 || v.Tags["ai.cloud.role"] != "fn-user-events" {
				t.Errorf("not as it should be: %s", line)
			}
			all = append(all, d.Properties)
		}
	}
	return all
}

// TestTelemetryStats checks that the item is sent once a minute while the counters change.
func TestTelemetryStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{script: []step{{status: 400}}}
		s := newSender(t, ingest.Config{Transport: e})
		<-time.After(10*time.Minute + 10*time.Second)
		if n := len(e.requests()); n != 0 {
			t.Fatalf("%d requests of a sender that has nothing to tell", n)
		}
		trackTrace(s, "refused")
		trackTrace(s, "refused")
		<-time.After(time.Minute)
		trackTrace(s, "accepted")
		<-time.After(time.Minute)
		want := map[string]string{
			"event": "telemetry-stats", "tracked": "2", "accepted": "0", "rejected": "2", "pending": "0",
			"dropped": "0", "reason": "status 400",
		}
		got := statsItems(t, e)
		if len(got) != 2 {
			t.Fatalf("%d items", len(got))
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("first (-want +got):\n%s", diff)
		}
		want["tracked"], want["accepted"] = "4", "2" // the first item counts, too
		if diff := cmp.Diff(want, got[1]); diff != "" {
			t.Errorf("second (-want +got):\n%s", diff)
		}
		<-time.After(time.Hour)
		if n := len(statsItems(t, e)); n != 2 {
			t.Errorf("%d items after an hour in which nothing happened", n)
		}
	})
}

// TestConsole checks the sender's log lines: each trouble once, losses once a minute, and the recovery.
func TestConsole(t *testing.T) {
	for _, c := range []struct {
		name   string
		script []step
		want   []string
	}{
		{"nothing wrong", nil, nil},
		{"an outage", many(4, step{status: 503}), []string{
			`level=WARN msg="Application Insights does not accept telemetry" status=503`,
			`level=INFO msg="Application Insights accepts telemetry again"`,
		}},
		{"the wrong key", many(3, step{status: 400}), []string{
			`level=ERROR msg="Application Insights does not accept telemetry" status=400`,
			`level=WARN msg="Telemetry was lost" lost=2 reason="status 400" tracked=2 accepted=0 rejected=2 dropped=0 pending=0`,
			`level=INFO msg="Application Insights accepts telemetry again"`,
			`level=WARN msg="Telemetry was lost" lost=1 reason="status 400" tracked=4 accepted=1 rejected=3 dropped=0 pending=0`,
		}},
		{"a role that does not count yet", many(5, step{status: 403}), []string{
			`level=WARN msg="Application Insights does not accept telemetry" status=403`,
			`level=INFO msg="Application Insights accepts telemetry again"`,
		}},
		{"the cap", many(1, step{status: 402}), []string{
			`level=ERROR msg="Application Insights does not accept telemetry" status=402`,
			`level=INFO msg="Application Insights accepts telemetry again"`,
			`level=WARN msg="Telemetry was lost" lost=1 reason=capped tracked=2 accepted=1 rejected=0 dropped=1 pending=0`,
		}},
		{"an answer that says nothing", many(1, step{status: 206, body: "<html>secret</html>"}), []string{
			`level=WARN msg="Application Insights does not accept telemetry" status=206`,
			`level=INFO msg="Application Insights accepts telemetry again"`,
			`level=WARN msg="Telemetry was lost" lost=1 reason=unread tracked=2 accepted=1 rejected=0 dropped=1 pending=0`,
		}},
		{"no connection", many(2, step{status: broken}), []string{
			`level=WARN msg="Application Insights does not accept telemetry" reason="the connection broke"`,
			`level=INFO msg="Application Insights accepts telemetry again"`,
		}},
		{"no answer", many(2, step{hang: true}), []string{
			`level=WARN msg="Application Insights does not accept telemetry" reason="no answer in time"`,
			`level=INFO msg="Application Insights accepts telemetry again"`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := &console{}
				s := newSender(t, ingest.Config{Transport: &endpoint{script: c.script}, Log: out.log()})
				trackTrace(s, "first")
				<-time.After(30 * time.Second)
				trackTrace(s, "second")
				<-time.After(35 * time.Second)
				trackTrace(s, "third")
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

// TestConsoleOfALongOutage checks that the same trouble is logged now and then, not for every request.
func TestConsoleOfALongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &console{}
		e := &endpoint{byDefault: step{status: 503}}
		s := newSender(t, ingest.Config{Transport: e, Log: out.log()})
		trackTrace(s, "m")
		<-time.After(2 * time.Hour)
		if n := strings.Count(out.String(), "\n"); n < 6 || n > 13 {
			t.Errorf("%d lines in two hours:\n%s", n, out)
		}
		if n := len(e.requests()); n < 100 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestLossAtTheEndIsTold checks that Close reports a loss.
func TestLossAtTheEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &console{}
		s := newSender(t, ingest.Config{Transport: &endpoint{byDefault: step{status: 503}}, Log: out.log()})
		for i := range 7 {
			trackTrace(s, fmt.Sprint("m", i))
		}
		s.Close(time.Second)
		if !strings.Contains(out.String(), "lost=7 reason=closed tracked=7 accepted=0 rejected=0 dropped=7 pending=0") {
			t.Errorf("%s", out)
		}
	})
}

// TestOwnDiagnosticsMakeNoItems has a sender that gets, by mistake, the log whose records become its items.
func TestOwnDiagnosticsMakeNoItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &later{}
		out := &console{}
		log := slog.New(insights.WithItems(out.log().Handler(), encoder(), sink))
		s := newSender(t, ingest.Config{Transport: &endpoint{byDefault: step{status: 400}}, Log: log})
		sink.to = s
		trackTrace(s, "m")
		<-time.After(30 * time.Second)
		if st := s.Stats(); st.Tracked != 1 || out.String() == "" {
			t.Errorf("%+v, console: %s", st, out)
		}
	})
}

// later is a sink whose target is set afterwards.
type later struct{ to insights.Sink }

func (l *later) Track(line []byte) { l.to.Track(line) }
