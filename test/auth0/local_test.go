package auth0

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
	"userrelay/test/wait"
)

const sent200 = `user sent: HTTP 200, attempts=(\d+), id=(a0pur_[0-9a-f]{32}), trace=([0-9a-f]{32})`

// TestLocal sends users from all sources to `go run ./local`, and reads the topic.
func TestLocal(t *testing.T) {
	t.Parallel()
	actionNode(t)
	s := startStack(t, "-env", "RECORD_PROFILE=full", "-env", "AUTH0_TENANT=acme-dev")
	for name, check := range map[string]func(*testing.T){
		"Action": s.checkAction, "profile": s.checkProfile, "key in the address": s.checkKeyInAddress, "wrong key": s.checkWrongKey,
		"Event Stream": s.checkEventStream, "Action of a stream": s.checkStreamAction, "every way": s.checkWays, "articles": s.checkArticles, "backfill": s.checkBackfill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t)
		})
	}
}

// derived is the event id that the handler derives.
func derived(t *testing.T, event map[string]any) string {
	t.Helper()
	user, id := userOf(t, event)
	tenant, _ := event["tenant"].(map[string]any)
	return registration.DeriveID(fmt.Sprint(tenant["id"]), id, fmt.Sprint(user["created_at"]))
}

// checkAction follows users of every kind from the Action to the record.
func (s *stack) checkAction(t *testing.T) {
	t.Helper()
	for _, name := range []string{"database-signup", "passwordless-email", "passwordless-sms", "management-api"} {
		e := event(t, name)
		_, id := userOf(t, e)
		logged, _ := runAction(t, e, s.secrets(), 1)
		match := matches(t, logged, sent200)
		if match[1] != "1" || match[2] != derived(t, e) {
			t.Errorf("%s: got attempt %s and id %s, want the first and %s", name, match[1], match[2], derived(t, e))
		}
		records := s.of(t, id)
		if len(records) != 1 {
			t.Fatalf("%s: got %d records", name, len(records))
		}
		r := records[0]
		if value := jsonOf(t, map[string]any{"userId": id}); r.value != value {
			t.Errorf("%s: got value %s, want %s", name, r.value, value)
		}
		trace := r.headers["traceparent"]
		delete(r.headers, "traceparent")
		delete(r.headers, "ce_time") // of the request
		want := map[string]string{
			"ce_specversion": "1.0", "ce_id": match[2], "ce_type": "user.created", "ce_source": "urn:auth0:acme-dev",
			"ce_subject": id, "ce_dataschema": registration.Schema, "content-type": "application/json",
		}
		if diff := cmp.Diff(want, r.headers); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", name, diff)
		}
		if !strings.HasPrefix(trace, "00-"+match[3]+"-") {
			t.Errorf("%s: traceparent %q is not of the trace that the Action logged", name, trace)
		}
	}
}

// checkStreamAction runs the Action of an Event Stream: the user of an enterprise connection is in the topic with the
// id in the Action's line, and without a profile, although the function would keep it.
func (s *stack) checkStreamAction(t *testing.T) {
	t.Helper()
	e := event(t, "event-stream-action")
	a := startAction(t, streamCode, e, s.secrets(), 1)
	<-a.ended
	match := matches(t, a.line(t), `user sent: HTTP 200, attempts=1, id=(\S+), trace=([0-9a-f]{32})`)
	records := s.of(t, "waad|Kx3-9_qwZ")
	if len(records) != 1 {
		t.Fatalf("got %d records, %s", len(records), a.threw)
	}
	r := records[0]
	if r.headers["ce_id"] != match[1] || r.headers["ce_time"] != "2026-11-21T19:00:05.02Z" || !strings.HasPrefix(r.headers["traceparent"], "00-"+match[2]+"-") {
		t.Errorf("got headers %v, want the id and the trace that the Action logged, and the event's own time", r.headers)
	}
	if strings.Contains(r.value, "ola") || strings.Contains(r.value, "Ola") || !strings.Contains(r.value, `"userId":"waad|Kx3-9_qwZ"`) {
		t.Errorf("got value %s", r.value)
	}
	message, ok := e["message"].(map[string]any)
	if !ok {
		t.Fatal("no message")
	}
	message["type"] = "user.deleted"
	a = startAction(t, streamCode, e, s.secrets(), 1)
	<-a.ended
	matches(t, a.line(t), `nothing sent: events of type user\.deleted are not forwarded`)
	if n := len(s.of(t, "waad|Kx3-9_qwZ")); n != 1 {
		t.Errorf("got %d records after an event of another type", n)
	}
}

// checkProfile sends the profile, which is unchanged in the record.
func (s *stack) checkProfile(t *testing.T) {
	t.Helper()
	e := withUser(t, event(t, "database-signup"), "auth0|with-profile")
	secrets := s.secrets()
	secrets["SEND_PROFILE"] = "true"
	logged, _ := runAction(t, e, secrets, 1)
	matches(t, logged, sent200)
	records := s.of(t, "auth0|with-profile")
	if len(records) != 1 {
		t.Fatalf("got %d records", len(records))
	}
	var value map[string]any
	if err := json.Unmarshal([]byte(records[0].value), &value); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"userId": "auth0|with-profile", "user": e["user"]}, value); diff != "" {
		t.Errorf("value (-want +got):\n%s", diff)
	}
	if got := records[0].headers["ce_time"]; got != "2026-11-21T19:00:00.123Z" {
		t.Errorf("got ce_time %s, want that of the user's creation", got)
	}
}

func (s *stack) checkKeyInAddress(t *testing.T) {
	t.Helper()
	e := withUser(t, event(t, "database-signup"), "auth0|key-in-address")
	logged, _ := runAction(t, e, map[string]any{"FUNCTION_URL": s.URL + "?code=" + s.Key}, 1)
	matches(t, logged, sent200)
	if n := len(s.of(t, "auth0|key-in-address")); n != 1 {
		t.Errorf("got %d records", n)
	}
}

// checkWrongKey fails at once, with a line that says what to check.
func (s *stack) checkWrongKey(t *testing.T) {
	t.Helper()
	e := withUser(t, event(t, "database-signup"), "auth0|wrong-key")
	for _, secrets := range []map[string]any{{"FUNCTION_URL": s.URL, "FUNCTION_KEY": s.Key + "x"}, {"FUNCTION_URL": s.URL}} {
		_, threw := runAction(t, e, secrets, 1)
		matches(t, threw, `user not sent: HTTP 401; check FUNCTION_KEY, attempts=1, id=\S+, trace=\S+`)
	}
	_, threw := runAction(t, e, map[string]any{"FUNCTION_URL": s.URL + "x", "FUNCTION_KEY": s.Key}, 1)
	matches(t, threw, `user not sent: HTTP 404; check FUNCTION_URL, attempts=1, id=\S+, trace=\S+`)
	if n := len(s.of(t, "auth0|wrong-key")); n != 0 {
		t.Errorf("got %d records", n)
	}
}

// TestHungServer checks that the Action gives up if the function never answers.
func TestHungServer(t *testing.T) {
	t.Parallel()
	actionNode(t)
	var requests atomic.Int32
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		<-over
	}))
	t.Cleanup(func() { close(over); server.Close() })
	_, threw := runAction(t, event(t, "database-signup"), map[string]any{"FUNCTION_URL": server.URL}, 2)
	// 7 s for each, 16 s in all, by the Action's clock.
	match := matches(t, threw, `user not sent: no answer in time, attempts=([23]), id=\S+, trace=\S+`)
	if made, got := match[1], strconv.Itoa(int(requests.Load())); got == "0" || got > made {
		t.Errorf("got %s requests, the Action says %s", got, made)
	}
}

// TestCertificate checks that nothing is sent to a function with an untrusted certificate.
func TestCertificate(t *testing.T) {
	t.Parallel()
	a := startTenant(t) // for its certificate
	var requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		answer(w, http.StatusOK, map[string]any{"eventId": r.Header.Get("Idempotency-Key")})
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of handshakes that are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	secrets := map[string]any{"FUNCTION_URL": server.URL, "FUNCTION_KEY": "k"}
	var threw string
	wait.LongEnough(t, "a handshake in the Action's time", time.Second, func(limit time.Duration) bool {
		_, threw = runAction(t, event(t, "database-signup"), secrets, 20/limit.Seconds())
		return !strings.HasPrefix(threw, "user not sent: no answer in time")
	})
	matches(t, threw, `user not sent: no connection \(DEPTH_ZERO_SELF_SIGNED_CERT\), attempts=\d, id=\S+, trace=\S+`)
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
	logged, _ := runAction(t, event(t, "database-signup"), secrets, 1, "NODE_EXTRA_CA_CERTS="+a.ca)
	matches(t, logged, sent200)
}

// withUser returns the event with another user id.
func withUser(t *testing.T, event map[string]any, id string) map[string]any {
	t.Helper()
	user, _ := userOf(t, event)
	user["user_id"] = id
	return event
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
