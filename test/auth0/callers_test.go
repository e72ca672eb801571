package auth0

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// checkEventStream posts like an Event Stream, with the key in a custom header (custom_header).
func (s *stack) checkEventStream(t *testing.T) {
	t.Helper()
	key := "X-Functions-Key: " + s.Key
	requests := filepath.Join(root, "handler", "registration", "testdata", "requests")
	social := string(read(t, filepath.Join(sources, "testdata", "events", "event-stream-social.json")))
	for _, c := range []struct {
		body, id, user, source, time, purpose string
		tenant, createdAt                     string
	}{
		{
			social, "evt_7TgxYsun9oWdkAaOBEEH2M", "google-oauth2|103547991597142817347", "urn:auth0:acme-dev.eu.auth0.com", "2026-11-21T19:00:04.01Z", "",
			"acme-dev", "2026-11-21T19:00:04.001Z",
		},
		{
			string(read(t, filepath.Join(requests, "event-stream.json"))),
			"evt_6SfwXrtm8nVcjzzNCFFH1L", "auth0|679fb1b1e809445f129bc18d", "urn:auth0:acme.us.auth0.com", "2025-02-02T17:56:01.573Z", "test",
			"acme", "2025-02-02T17:56:01.566Z",
		},
	} {
		for _, mediaType := range []string{"application/json", "application/cloudevents+json"} { // the second time is a redelivery
			_, answer := s.send(t, http.MethodPost, s.URL, c.body, http.StatusOK, key, "Content-Type: "+mediaType)
			if answer["eventId"] != registration.DeriveID(c.tenant, c.user, c.createdAt) {
				t.Errorf("got %v", answer)
			}
		}
		records := s.of(t, c.user)
		if len(records) == 0 {
			t.Errorf("%s is not in the topic", c.user)
		}
		for _, r := range records {
			got := [...]string{
				r.headers["ce_id"], r.headers["ce_source"], r.headers["ce_auth0eventid"], r.headers["ce_auth0source"],
				r.headers["ce_time"], r.headers["ce_a0purpose"],
			}
			if want := [...]string{registration.DeriveID(c.tenant, c.user, c.createdAt), "urn:auth0:" + c.tenant, c.id, c.source, c.time, c.purpose}; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		}
	}
	deleted := strings.NewReplacer("user.created", "user.deleted", "103547991597142817347", "another").Replace(social)
	_, answer := s.send(t, http.MethodPost, s.URL, deleted, http.StatusOK, key, "Content-Type: application/json")
	if answer["ignored"] != "user.deleted" {
		t.Errorf("got %v", answer)
	}
	if n := len(s.of(t, "google-oauth2|another")); n != 0 {
		t.Errorf("an event of another type made %d records", n)
	}
}

// caller is an Action from an article.
type caller struct {
	name    string
	module  string                              // that it requires, "" none
	secrets func(address string) map[string]any // address: the function's, with its key
	answer  []string                            // members that it reads
	profile bool                                // it sends the profile
}

func callers() []caller {
	url := func(address string) map[string]any { return map[string]any{"FUNCTION_URL": address} }
	place := []string{"offset", "partition", "timestamp", "topic"}
	return []caller{
		{"axios", "axios", url, append([]string{"eventId"}, place...), false},
		{"profile", "", url, place, true},
		{"kafka-rest", "node-fetch", func(address string) map[string]any {
			// The text that the Action appends to the address becomes a fragment, which no client sends.
			return map[string]any{"ADDRESS": address + "#", "USER": "user", "PASSWORD": "secret", "TOPIC": topic}
		}, place, true},
	}
}

// checkArticles runs the callers with only the address changed.
func (s *stack) checkArticles(t *testing.T) {
	t.Helper()
	for _, c := range callers() {
		if c.module != "" {
			module(t, ".", c.module+"/package.json")
		}
		id := "auth0|" + c.name
		e := withUser(t, event(t, "database-signup"), id)
		a := startAction(t, filepath.Join("callers", c.name+".js"), e, c.secrets(s.URL+"?code="+s.Key), 1)
		<-a.ended
		var said struct {
			Status int            `json:"status"`
			Data   map[string]any `json:"data"`
		}
		if err := json.Unmarshal([]byte(a.line(t)), &said); err != nil {
			t.Fatalf("%s: %v, %s", c.name, err, a.threw)
		}
		records := s.of(t, id)
		if len(records) != 1 {
			t.Fatalf("%s: got %d records", c.name, len(records))
		}
		place := fmt.Sprintf("%v@%v", said.Data["partition"], said.Data["offset"])
		if said.Status != http.StatusOK || said.Data["topic"] != topic || place != records[0].place {
			t.Errorf("%s: got %+v, want 200 and the place %s of the record", c.name, said, records[0].place)
		}
		var members []string
		for _, name := range c.answer {
			if said.Data[name] != nil {
				members = append(members, name)
			}
		}
		if diff := cmp.Diff(c.answer, members); diff != "" {
			t.Errorf("%s: members of the answer (-want +got):\n%s", c.name, diff)
		}
		if hasProfile := strings.Contains(records[0].value, "jane.doe+test@example.com"); hasProfile != c.profile {
			t.Errorf("%s: got value %s", c.name, records[0].value)
		}
	}
}

// TestCallersSend compares the callers' requests, byte for byte except the address and the profile, with recorded
// ones, which other tests of the handler use (docs/forms.md).
func TestCallersSend(t *testing.T) {
	t.Parallel()
	actionNode(t)
	for _, c := range callers() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.module != "" {
				module(t, ".", c.module+"/package.json")
			}
			requests := make(chan string, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests <- asSent(t, r)
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"topic":"user-events","partition":3,"offset":317,"timestamp":1641950606804}`)
			}))
			defer server.Close()
			// As text, because the order of a map's members varies.
			e := map[string]any{"user": jsontext.Value(`{"user_id":"auth0|61de2511fd334200aq221d","email":"","tenant":"test","email_verified":false,"app_metadata":{}}`)}
			a := startAction(t, filepath.Join("callers", c.name+".js"), e, c.secrets(server.URL+"/api/RegisterUser?code=KEY"), 1)
			<-a.ended
			if a.threw != "" {
				t.Fatal(a.threw)
			}
			file := filepath.Join("callers", c.name+".http")
			var got string
			select {
			case got = <-requests:
			default:
				t.Fatal("the caller sent nothing")
			}
			if *update {
				write(t, file, []byte(got))
			}
			if diff := cmp.Diff(string(read(t, file)), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// asSent is a request as text, headers in the order of their names, without those of the connection.
func asSent(t *testing.T, r *http.Request) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s %s\n", r.Method, r.URL.RequestURI(), r.Proto)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name != "Connection" {
			fmt.Fprintf(&text, "%s: %s\n", name, strings.Join(r.Header[name], ", "))
		}
	}
	fmt.Fprintf(&text, "\n%s\n", body)
	return text.String()
}

// checkBackfill sends an export to the function: one user that the Action has sent, and one that it gave up. Both have
// the Action's event ids.
func (s *stack) checkBackfill(t *testing.T) {
	t.Helper()
	signup := withUser(t, event(t, "database-signup"), "auth0|sent")
	logged, _ := runAction(t, signup, s.secrets(), 1)
	matches(t, logged, sent200)
	lost := withUser(t, event(t, "passwordless-email"), "email|lost")
	var export bytes.Buffer
	packed := gzip.NewWriter(&export)
	for _, e := range []map[string]any{signup, lost} {
		user, _ := userOf(t, e)
		_, _ = fmt.Fprintln(packed, jsonOf(t, user)) // a buffer takes all
	}
	_ = packed.Close()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "users.json.gz"), export.Bytes())

	env := []string{"FUNCTION_URL=" + s.URL, "FUNCTION_KEY=" + s.Key, "AUTH0_TENANT=acme-dev"}
	done := execute(t, folder, env, backfillBinary, "-state", "state", "users.json.gz")
	if done.code != 0 || !strings.Contains(done.stdout, "       2  delivered\n") || strings.Contains(done.String(), s.Key) {
		t.Fatalf("exit code %d\n%s", done.code, done)
	}
	for _, e := range []map[string]any{signup, lost} {
		user, id := userOf(t, e)
		records := s.of(t, id)
		if len(records) == 0 {
			t.Errorf("%s is not in the topic", id)
		}
		for _, r := range records {
			if got, want := r.headers["ce_id"], derived(t, e); got != want {
				t.Errorf("%s: got ce_id %s, want %s", id, got, want)
			}
		}
		if got := records[len(records)-1].headers["ce_time"]; id == "email|lost" && !strings.HasPrefix(fmt.Sprint(user["created_at"]), strings.TrimSuffix(got, "Z")) {
			t.Errorf("%s: got ce_time %s, want %v", id, got, user["created_at"])
		}
	}
	done = execute(t, folder, env, backfillBinary, "-state", "state", "users.json.gz")
	if done.code != 0 || !strings.Contains(done.stdout, "       2  delivered by an earlier run\n") {
		t.Errorf("again: exit code %d\n%s", done.code, done)
	}
}
