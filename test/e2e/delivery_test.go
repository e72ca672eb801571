package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

// TestKafkaRefuses checks the answers and the telemetry if the broker permanently refuses the record.
func TestKafkaRefuses(t *testing.T) {
	t.Parallel()
	const (
		unavailable = http.StatusServiceUnavailable
		passes      = "" // the handler repeats until the time is over, and may not know the outcome then
	)
	for _, c := range []struct {
		err    *kerr.Error
		status int
		kind   string
		class  string
	}{
		// The record itself is invalid: the sender should not try again.
		{kerr.InvalidRecord, http.StatusInternalServerError, "record-refused", "invalid"},
		// An operator can fix it.
		{kerr.TopicAuthorizationFailed, unavailable, "not-stored", "not-authorized"},
		{kerr.ClusterAuthorizationFailed, unavailable, "not-stored", "not-authorized"},
		{kerr.InvalidTimestamp, unavailable, "not-stored", "topic-rule"},
		{kerr.PolicyViolation, unavailable, "not-stored", "throttled"},
		{kerr.ThrottlingQuotaExceeded, unavailable, "not-stored", "throttled"},
		{kerr.MessageTooLarge, unavailable, "not-stored", "too-large"},
		{kerr.UnknownTopicOrPartition, unavailable, passes, passes},
		{kerr.NotEnoughReplicas, unavailable, passes, passes},
		{kerr.NotLeaderForPartition, unavailable, passes, passes},
		// The outcome is unknown.
		{kerr.NotEnoughReplicasAfterAppend, unavailable, "outcome-unknown", "unknown-outcome"},
		{kerr.RequestTimedOut, unavailable, "outcome-unknown", "unknown-outcome"},
	} {
		t.Run(c.err.Message, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			telemetry := startTelemetry(t)
			h := startHandler(t, kafka.setting(), telemetry.setting())
			h.registerSoon(t, `{"userId":"before"}`)
			kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: c.err, Count: -1})

			r := h.register(t, `{"userId":"auth0|1","eventId":"e-1"}`)
			if c.kind == passes {
				c.kind, c.class = "not-stored", ""
				if strings.Contains(r.body, "outcome-unknown") {
					c.kind = "outcome-unknown"
				}
			}
			if p := r.problem(t, c.status, c.kind, c.status == unavailable, true); p.EventID != "e-1" {
				t.Errorf("got event id %q, want e-1", p.EventID)
			}
			for _, told := range []string{c.err.Message, c.err.Description} {
				if strings.Contains(r.body, told) {
					t.Errorf("the answer repeats the broker's words: %q", r.body)
				}
			}
			telemetry.checkRefused(t, "e-1", c.class)
		})
	}
}

// checkRefused checks the telemetry for an event that is not stored. An empty class matches any.
func (p page) checkRefused(t *testing.T, eventID, class string) {
	t.Helper()
	items := p.wait(t, "eventId", eventID, 3)
	refused, send := titled(t, items, "Not stored"), titled(t, items, "send "+topic)
	got := refused.Properties["errorClass"]
	if got == "" || class != "" && got != class {
		t.Errorf("got class %q, want %q", got, class)
	}
	if refused.Properties["event"] != "refused" || refused.Raw.Data.BaseData.SeverityLevel != 3 {
		t.Errorf("got trace %+v, want an Error, refused", refused)
	}
	if data := send.Raw.Data.BaseData; data.Success || data.ResultCode != got || send.Properties["errorClass"] != got {
		t.Errorf("got dependency %+v, want one that failed with %s", send, got)
	}
}

// TestKafkaRefusesOnce has failures that callers do not notice.
func TestKafkaRefusesOnce(t *testing.T) {
	t.Parallel()
	for _, err := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.NotEnoughReplicas,
		kerr.CorruptMessage, kerr.KafkaStorageError,
	} {
		t.Run(err.Message, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			h := startHandler(t, kafka.setting())
			fault := kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err})
			answer := h.register(t, `{"userId":"auth0|1"}`).stored(t)
			if fault.Hits() != 1 {
				t.Fatal("the broker refused nothing")
			}
			records := kafka.records(t)
			at(t, records, answer)
			if len(records) != 1 {
				t.Errorf("got %d records, want one", len(records))
			}
		})
	}
}

// TestAnswerLost shows that the handler repeats a record with an unknown outcome, and that this makes no copy.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]faultproxy.Action{
		"before the broker has it": faultproxy.CutBefore, "before the answer": faultproxy.CutOnAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			h := startHandler(t, kafka.setting())
			kafka.set(t, faultproxy.Faults{Rules: []faultproxy.Rule{{Key: faultproxy.Produce, Nth: 1, Do: []faultproxy.Action{action}}}})
			answer := h.register(t, `{"userId":"auth0|1"}`).stored(t)
			if kafka.proxy.Stats().Cuts() != 1 {
				t.Fatal("no connection was cut")
			}
			records := kafka.records(t)
			at(t, records, answer)
			if len(records) != 1 {
				t.Errorf("got %d records, want one", len(records))
			}
		})
	}
}

// TestProfileTooLargeForBroker shows that a registration is stored without its profile if the topic's limit is lower
// than the handler expects.
func TestProfileTooLargeForBroker(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting(), "RECORD_PROFILE=full")
	kafka.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: -1,
		When: func(r kmsg.Request) bool {
			produce, ok := r.(*kmsg.ProduceRequest)
			return ok && len(produce.Topics[0].Partitions[0].Records) > 10_000
		},
	})
	answer := h.register(t, `{"userId":"auth0|1","user":{"x":"`+strings.Repeat("x", 20_000)+`"}}`).stored(t)
	got := at(t, kafka.records(t), answer)
	if got.Value != `{"userId":"auth0|1"}` || got.header("ce_profileomitted") != "true" {
		t.Errorf("got record %+v, want one without its profile", got)
	}
}

// TestOutcomeUnknown checks the answer if the broker may have stored the record, and that the repeat of the
// registration has the same event id.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]faultproxy.Action{
		"no answer": faultproxy.Silence, "cut before the answer": faultproxy.CutOnAnswer, "cut after the request": faultproxy.CutAfter,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			h := startHandler(t, kafka.setting())
			kafka.set(t, faultproxy.Faults{Rules: []faultproxy.Rule{{Key: faultproxy.Produce, Share: 1, Do: []faultproxy.Action{action}}}})
			const body = `{"user_id":"auth0|1","created_at":"2026-11-21T19:00:00Z"}`
			r := h.register(t, body)
			p := r.problem(t, http.StatusServiceUnavailable, "outcome-unknown", true, true)

			kafka.set(t, faultproxy.Faults{})
			answer := h.registerSoon(t, body)
			records := kafka.records(t)
			at(t, records, answer)
			for _, r := range records {
				if id := r.header("ce_id"); id != p.EventID || id != answer.EventID {
					t.Errorf("got event id %q in the record, %q in the first answer, %q in the last", id, p.EventID, answer.EventID)
				}
			}
		})
	}
}

// registerSoon registers until it works.
func (h *handlerRun) registerSoon(t *testing.T, body string) (answer stored) {
	t.Helper()
	wait.For(t, "a registration is stored", func() bool {
		r := h.register(t, body)
		if r.status == http.StatusServiceUnavailable {
			return false
		}
		answer = r.stored(t)
		return true
	})
	return answer
}
