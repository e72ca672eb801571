package auth0

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"userrelay/handler/registration"
)

// checkWays sends one user in every way: by the Action, by an Event Stream to the function and to an Action, by the
// backfill of an export and by a replay of Auth0's events, with different formats of the time of creation. Consumers
// see one event: all records have the same ce_id and ce_source.
func (s *stack) checkWays(t *testing.T) {
	t.Helper()
	const id, created, evt = "auth0|every way", "2026-11-21T19:00:06.123Z", "evt_1VeRyWaYxxxxxxxxxxxxxx"
	want := registration.DeriveID("acme-dev", id, created)
	user := func(created string) map[string]any {
		return map[string]any{"user_id": id, "created_at": created, "email": "jane.doe+test@example.com"}
	}
	message := func(created string) map[string]any {
		return map[string]any{
			"id": evt, "source": "urn:auth0:acme-dev.eu.auth0.com", "specversion": "1.0", "type": "user.created", "time": "2026-11-21T19:00:06.200Z",
			"a0tenant": "acme-dev", "a0stream": "est_38ANnv8pQhqsZrX2VFbftv", "data": map[string]any{"object": user(created)},
		}
	}

	logged, threw := runAction(t, map[string]any{"tenant": map[string]any{"id": "acme-dev"}, "user": user(created)}, s.secrets(), 1)
	if match := matches(t, logged+threw, sent200); match[2] != want {
		t.Errorf("the Action: got %s, want %s", match[2], want)
	}
	_, answer := s.send(t, http.MethodPost, s.URL, jsonOf(t, message("2026-11-21T19:00:06.123+00:00")), http.StatusOK,
		"X-Functions-Key: "+s.Key, "Content-Type: application/json")
	if answer["eventId"] != want {
		t.Errorf("a stream to the function: got %v, want %s", answer["eventId"], want)
	}
	a := startAction(t, streamCode, map[string]any{"message": message("2026-11-21T20:00:06.123999+01:00")}, s.secrets(), 1)
	<-a.ended
	if match := matches(t, a.line(t), sent200); match[2] != want {
		t.Errorf("a stream to an Action: got %s, want %s", match[2], want)
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "users.json"), []byte(jsonOf(t, []any{user("2026-11-21T19:00:06.1230Z")})))
	events := eventsOf(t, jsonOf(t, map[string]any{"offset": "b2Zmc2V0", "event": message(created)}))
	env := []string{"FUNCTION_URL=" + s.URL, "FUNCTION_KEY=" + s.Key, "AUTH0_TENANT=acme-dev", "AUTH0_DOMAIN=" + events, "AUTH0_TOKEN=" + accessToken}
	for _, args := range [][]string{{"users.json"}, {"-events", "-from", "2026-11-21T19:00:00Z", "-to", "2026-11-21T20:00:00Z", "-state", "state"}} {
		done := execute(t, folder, env, backfillBinary, args...)
		if done.code != 0 || !strings.Contains(done.stdout, "       1  delivered\n") {
			t.Errorf("%s: exit code %d\n%s", args[0], done.code, done)
		}
	}

	records := s.of(t, id)
	if len(records) == 0 {
		t.Error("the user is not in the topic")
	}
	ofStream := 0
	for _, r := range records {
		if r.headers["ce_id"] != want || r.headers["ce_source"] != "urn:auth0:acme-dev" {
			t.Errorf("got ce_id %s and ce_source %s, want %s and urn:auth0:acme-dev", r.headers["ce_id"], r.headers["ce_source"], want)
		}
		if r.headers["ce_auth0eventid"] == evt {
			ofStream++
		}
	}
	if ofStream == 0 {
		t.Error("Auth0's own id of the event is in no record")
	}
}

// eventsOf is an Events API that sends one event, and then events of another day.
func eventsOf(t *testing.T, data string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+accessToken || r.URL.Query().Get("event_type") != "user.created" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w).Flush
		later := strings.NewReplacer("2026-11-21T", "2026-11-25T", "every way", "later").Replace(data)
		for _, text := range []string{":connected\n\n", "retry: 2000\n\n", "event: user.created\nid: b2Zmc2V0\ndata: " + data + "\n\n", "event: user.created\nid: bGF0ZXI\ndata: " + later + "\n\n"} {
			_, _ = fmt.Fprint(w, text) // the caller may have left
			_ = flush()
		}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return server.URL
}
