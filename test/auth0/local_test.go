package auth0

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// TestLocal sends users from all sources to `go run ./local`, and reads the topic.
func TestLocal(t *testing.T) {
	t.Parallel()
	actionNode(t)
	s := startStack(t, "-env", "RECORD_PROFILE=full", "-env", "AUTH0_TENANT=acme-dev")
	for name, check := range map[string]func(*testing.T){"Action": s.checkAction, "every way": s.checkWays, "articles": s.checkArticles} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t)
		})
	}
}

// sent runs an Action that sends a user, and returns the event id and the trace that it logs.
func (s *stack) sent(t *testing.T, code string, event, secrets map[string]any) (id, trace string) {
	t.Helper()
	line := runAction(t, code, event, secrets)
	match := regexp.MustCompile(`^user sent: HTTP 200, attempts=1, id=(a0pur_[0-9a-f]{32}), trace=([0-9a-f]{32})$`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("got %q", line)
	}
	return match[1], match[2]
}

// checkAction follows users of every kind from the Action to the record.
func (s *stack) checkAction(t *testing.T) {
	t.Helper()
	inAddress := map[string]any{"FUNCTION_URL": s.URL + "?code=" + s.Key}
	profile := s.secrets()
	profile["SEND_PROFILE"] = "true"
	for name, secrets := range map[string]map[string]any{
		"database-signup": profile, "passwordless-email": s.secrets(), "passwordless-sms": inAddress, "management-api": s.secrets(),
	} {
		e := event(t, name)
		user, ok := e["user"].(map[string]any)
		if !ok {
			t.Fatalf("%s has no user", name)
		}
		userID, created := fmt.Sprint(user["user_id"]), fmt.Sprint(user["created_at"])
		id, trace := s.sent(t, actionCode, e, secrets)
		records := s.records(t, userID)
		if len(records) != 1 {
			t.Fatalf("%s: got %d records", name, len(records))
		}
		r, value := records[0], map[string]any{"userId": userID}
		if secrets["SEND_PROFILE"] != nil {
			value["user"] = user
			if got := r.Header("ce_time"); got != created {
				t.Errorf("%s: got ce_time %s, want that of the user's creation", name, got)
			}
		}
		var got map[string]any
		if err := json.Unmarshal(r.Value, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(value, got); diff != "" {
			t.Errorf("%s: value (-want +got):\n%s", name, diff)
		}
		derived := registration.DeriveID("acme-dev", userID, created)
		if id != derived || r.Header("ce_id") != derived || !strings.HasPrefix(r.Header("traceparent"), "00-"+trace+"-") {
			t.Errorf("%s: got %s of trace %s and a record with ce_id %s and traceparent %s, want the id %s and one trace",
				name, id, trace, r.Header("ce_id"), r.Header("traceparent"), derived)
		}
	}
}

// checkWays sends one user in every way: by the Action, by an Event Stream to the function and to an Action, by the
// backfill of an export and by a replay of Auth0's events, with different formats of the time of creation. Consumers
// see one event: all records have the same ce_id and ce_source. The backfill finds the user in the topic.
func (s *stack) checkWays(t *testing.T) {
	t.Helper()
	const id, created, evt = "auth0|every way", "2026-11-21T19:00:06.123Z", "evt_1VeRyWaYxxxxxxxxxxxxxx"
	want := registration.DeriveID("acme-dev", id, created)
	user := func(created string) map[string]any {
		return map[string]any{"user_id": id, "created_at": created, "email": "jane.doe+test@example.com"}
	}
	message := func(id, created string) map[string]any {
		return map[string]any{
			"id": id, "source": "urn:auth0:acme-dev.eu.auth0.com", "specversion": "1.0", "type": "user.created", "time": "2026-11-21T19:00:06.200Z",
			"a0tenant": "acme-dev", "a0stream": "est_38ANnv8pQhqsZrX2VFbftv", "data": map[string]any{"object": user(created)},
		}
	}

	registered := map[string]any{"tenant": map[string]any{"id": "acme-dev"}, "user": user(created)}
	if got, _ := s.sent(t, actionCode, registered, s.secrets()); got != want {
		t.Errorf("the Action: got %s, want %s", got, want)
	}
	if got := s.post(t, jsonOf(t, message(evt, "2026-11-21T19:00:06.123+00:00"))); got != want {
		t.Errorf("a stream to the function: got %v, want %s", got, want)
	}
	streamed := map[string]any{"message": message(evt+"2", "2026-11-21T20:00:06.123999+01:00")}
	got, trace := s.sent(t, streamCode, streamed, s.secrets())
	if got != want {
		t.Errorf("a stream to an Action: got %s, want %s", got, want)
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "users.json"), []byte(jsonOf(t, []any{user("2026-11-21T19:00:06.1230Z")})))
	env := []string{
		"FUNCTION_URL=" + s.URL, "FUNCTION_KEY=" + s.Key, "AUTH0_TENANT=acme-dev", "AUTH0_TOKEN=" + accessToken,
		"AUTH0_DOMAIN=" + eventsOf(t, jsonOf(t, map[string]any{"offset": "b2Zmc2V0", "event": message(evt, created)})),
		"KAFKA_BROKERS=" + s.Brokers, "AzureWebJobsStorage=" + s.Outbox.ConnectionString,
	}
	for args, says := range map[string]string{
		"users.json": "       1  delivered\n",
		"-events -from 2026-11-21T19:00:00Z -to 2026-11-21T20:00:00Z": "       1  delivered\n",
		"-verify -dry-run users.json":                                 "       1  found in the topic\n",
	} {
		done := execute(t, folder, env, s.backfill, strings.Fields(args)...)
		if done.code != 0 || !strings.Contains(done.stdout, says) {
			t.Errorf("%s: exit code %d\n%s", args, done.code, done)
		}
	}

	traced, ofStream := 0, 0
	for _, r := range s.records(t, id) {
		if r.Header("ce_id") != want || r.Header("ce_source") != "urn:auth0:acme-dev" {
			t.Errorf("got ce_id %s and ce_source %s, want %s and urn:auth0:acme-dev", r.Header("ce_id"), r.Header("ce_source"), want)
		}
		if strings.HasPrefix(r.Header("traceparent"), "00-"+trace+"-") {
			traced++
			if r.Header("ce_time") != "2026-11-21T19:00:06.2Z" || bytes.Contains(r.Value, []byte("jane")) {
				t.Errorf("the Action of a stream made %s of %s, want the event's own time, and no profile", r.Value, r.Header("ce_time"))
			}
		}
		if strings.HasPrefix(r.Header("ce_auth0eventid"), evt) {
			ofStream++
		}
	}
	if traced != 1 || ofStream < 2 {
		t.Errorf("got %d records of the trace that the stream's Action logged, and %d with Auth0's own id", traced, ofStream)
	}
}

// eventsOf is an Events API that sends one event, and then events of another day.
func eventsOf(t *testing.T, data string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+accessToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		later := strings.NewReplacer("2026-11-21T", "2026-11-25T", "every way", "later").Replace(data)
		_, _ = fmt.Fprintf(w, ":connected\n\nretry: 2000\n\nevent: user.created\nid: b2Zmc2V0\ndata: %s\n\nevent: user.created\nid: bGF0ZXI\ndata: %s\n\n", data, later)
		_ = http.NewResponseController(w).Flush() // the caller may have left
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return server.URL
}
