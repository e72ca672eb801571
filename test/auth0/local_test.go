package auth0

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/must"
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

// sent runs an Action that sends a user, and returns the record with the event id and the trace that it logs.
func (s *stack) sent(t *testing.T, code string, event, secrets map[string]any) realkafka.Record {
	t.Helper()
	line := runAction(t, code, event, secrets)
	match := regexp.MustCompile(`^user sent: HTTP 200, attempts=1, id=(a0pur_[0-9a-f]{32}), trace=([0-9a-f]{32})$`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("got %q", line)
	}
	records := s.records(t, func(r realkafka.Record) bool {
		return r.Header("ce_id") == match[1] && strings.HasPrefix(r.Header("traceparent"), "00-"+match[2]+"-")
	})
	if len(records) != 1 {
		t.Fatalf("got %d records of %q", len(records), line)
	}
	return records[0]
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
		user := fixture[struct{ User map[string]any }](t, "events/"+name).User
		id, created := fmt.Sprint(user["user_id"]), fmt.Sprint(user["created_at"])
		r := s.sent(t, actionCode, event(t, name), secrets)
		value := map[string]any{"userId": id}
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
		if derived := registration.DeriveID("acme-dev", id, created); r.Header("ce_id") != derived || string(r.Key) != id {
			t.Errorf("%s: got %s of %s, want %s of %s", name, r.Header("ce_id"), r.Key, derived, id)
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
	s.sent(t, actionCode, registered, s.secrets())
	if got := s.post(t, jsonOf(t, message(evt, "2026-11-21T19:00:06.123+00:00"))); got != want {
		t.Errorf("a stream to the function: got %v, want %s", got, want)
	}
	streamed := map[string]any{"message": message(evt+"2", "2026-11-21T20:00:06.123999+01:00")}
	if r := s.sent(t, streamCode, streamed, s.secrets()); r.Header("ce_time") != "2026-11-21T19:00:06.2Z" || bytes.Contains(r.Value, []byte("jane")) {
		t.Errorf("the Action of a stream made %s of %s, want the event's own time, and no profile", r.Value, r.Header("ce_time"))
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

	ofStream, records := 0, s.records(t, func(r realkafka.Record) bool { return string(r.Key) == id })
	for _, r := range records {
		if r.Header("ce_id") != want || r.Header("ce_source") != "urn:auth0:acme-dev" {
			t.Errorf("got ce_id %s and ce_source %s, want %s and urn:auth0:acme-dev", r.Header("ce_id"), r.Header("ce_source"), want)
		}
		if strings.HasPrefix(r.Header("ce_auth0eventid"), evt) {
			ofStream++
		}
	}
	if len(records) < 3 || ofStream < 2 {
		t.Errorf("got %d records, %d with Auth0's own id", len(records), ofStream)
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

// checkArticles runs Actions from articles with only the address changed. It compares their requests, byte for byte
// except the address and the profile, with recorded ones, which other tests of the handler use (docs/forms.md).
func (s *stack) checkArticles(t *testing.T) {
	t.Helper()
	requests := make(chan string, 1)
	function := must.Get[*neturl.URL](t)(neturl.Parse(s.URL + "?code=" + s.Key))
	proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.Out.URL, p.Out.Host = function, function.Host }}
	recording := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- asSent(t, r)
		proxy.ServeHTTP(w, r)
	}))
	defer recording.Close()
	address := recording.URL + "/api/RegisterUser?code=KEY"
	withAddress := map[string]any{"FUNCTION_URL": address}
	for _, c := range []struct {
		name, module string // module: that it requires, "" none
		secrets      map[string]any
		profile      bool // it sends the profile
	}{
		{"axios", "axios", withAddress, false},
		{"profile", "", withAddress, true},
		// The text that the Action appends to the address becomes a fragment, which no client sends.
		{"kafka-rest", "node-fetch", map[string]any{"ADDRESS": address + "#", "USER": "user", "PASSWORD": "secret", "TOPIC": topic}, true},
	} {
		if c.module != "" {
			module(t, ".", c.module+"/package.json")
		}
		// As text, because the order of a map's members varies.
		user := jsontext.Value(`{"user_id":"auth0|61de2511fd334200aq221d","email":"","tenant":"test","email_verified":false,"app_metadata":{}}`)
		var said struct {
			Status int            `json:"status"`
			Data   map[string]any `json:"data"`
		}
		line := runAction(t, filepath.Join("callers", c.name+".js"), map[string]any{"user": user}, c.secrets)
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatalf("%s: %v, %s", c.name, err, line)
		}
		file, got := filepath.Join("callers", c.name+".http"), <-requests
		if *update {
			write(t, file, []byte(got))
		}
		if diff := cmp.Diff(string(read(t, file)), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
		place := fmt.Sprint(said.Data["partition"], "@", said.Data["offset"])
		records := s.records(t, func(r realkafka.Record) bool {
			return string(r.Key) == "auth0|61de2511fd334200aq221d" && fmt.Sprint(r.Partition, "@", r.Offset) == place
		})
		if said.Status != http.StatusOK || said.Data["topic"] != topic || said.Data["timestamp"] == nil || len(records) != 1 {
			t.Errorf("%s: got %+v, and %d records in this place", c.name, said, len(records))
		} else if hasProfile := bytes.Contains(records[0].Value, []byte("app_metadata")); hasProfile != c.profile {
			t.Errorf("%s: got value %s", c.name, records[0].Value)
		}
	}
}

// asSent is a request as text, headers in the order of their names, without those of the connection.
func asSent(t *testing.T, r *http.Request) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	var header strings.Builder
	if err = errors.Join(err, r.Header.WriteSubset(&header, map[string]bool{"Connection": true})); err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return fmt.Sprintf("%s %s %s\n%s\n%s\n", r.Method, r.URL.RequestURI(), r.Proto, strings.ReplaceAll(header.String(), "\r", ""), body)
}
