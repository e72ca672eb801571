package auth0

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"userrelay/handler/registration"
)

// published are our requests and fixtures for which Auth0 publishes a type, in its npm package auth0.
func published(t *testing.T) map[string]string {
	t.Helper()
	action, err := json.Marshal(theAction(t))
	if err != nil {
		t.Fatal(err)
	}
	fixture := func(path ...string) string { return string(read(t, filepath.Join(append([]string{root}, path...)...))) }
	stream, err := json.Marshal(theStreamAction(t))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		string(stream): "CreateActionRequestContent",
		jsonOf(t, event(t, "event-stream-action")["message"]): "EventStreamCloudEventUserCreatedCloudEvent",
		`{"name":"userrelay-action","subscriptions":[{"event_type":"user.created"}],"destination":{"type":"action","configuration":{"action_id":"act-1"}}}`: "CreateEventStreamActionRequestContent",
		fixture("auth0", "testdata", "events", "event-stream-social.json"):                                                                                  "EventStreamCloudEventUserCreatedCloudEvent",
		fixture("handler", "registration", "testdata", "requests", "event-stream.json"):                                                                     "EventStreamCloudEventUserCreatedCloudEvent",
		string(action): "CreateActionRequestContent",
		// This is the type of the answer, which does not repeat the value.
		`{"method":"custom_header","header_key":"x-functions-key"}`:        "EventStreamWebhookCustomHeaderAuth",
		`{"ref":{"type":"binding_id","value":"b1"},"display_name":"mail"}`: "ActionBindingWithRef",
	}
}

// TestPublishedTypes checks the fixtures of Event Streams and the requests to the Management API against Auth0's
// published types.
func TestPublishedTypes(t *testing.T) {
	t.Parallel()
	tsc, err := filepath.Abs(module(t, ".", "typescript/bin/tsc"))
	if err != nil {
		t.Fatal(err)
	}
	types, err := filepath.Abs(filepath.Dir(module(t, ".", "auth0/package.json")))
	if err != nil {
		t.Fatal(err)
	}
	var source, wrong strings.Builder
	_, _ = fmt.Fprintf(&source, "import type { Management } from %q;\n", filepath.ToSlash(types))
	wrong.WriteString(source.String())
	count, damaged := 0, regexp.MustCompile(`"(time|runtime|header_key|display_name|event_type)": ?"[^"]*"`)
	for value, name := range published(t) {
		count++
		_, _ = fmt.Fprintf(&source, "export const v%d: Management.%s = %s;\n", count, name, value)
		// The same with a number instead of a string.
		_, _ = fmt.Fprintf(&wrong, "export const v%d: Management.%s = %s;\n", count, name, damaged.ReplaceAllString(value, `"$1": 0`))
	}
	check := func(source string) outcome {
		folder := t.TempDir()
		write(t, filepath.Join(folder, "check.ts"), []byte(source))
		return execute(t, folder, nil, node(t), tsc, "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022",
			"--module", "esnext", "--moduleResolution", "bundler", "check.ts")
	}
	if done := check(source.String()); done.code != 0 {
		t.Errorf("not of Auth0's types:\n%s", done)
	}
	if done := check(wrong.String()); len(regexp.MustCompile(`check\.ts\(.*error TS2322`).FindAllString(done.stdout, -1)) != count {
		t.Errorf("wrong values pass:\n%s", done)
	}
}

// TestEventSchema checks the events of the Action's tests against the schema of the trigger.
func TestEventSchema(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(sources, "testdata", "post-user-registration.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"database-signup", "passwordless-email", "passwordless-sms", "management-api"} {
		text := read(t, filepath.Join(sources, "testdata", "events", name+".json"))
		event, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(event); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, damage := range []func(event map[string]any){
			func(e map[string]any) { delete(e, "tenant") },
			func(e map[string]any) { e["connection"] = map[string]any{"id": "c", "name": "n"} },
			func(e map[string]any) { e["user"] = map[string]any{"user_id": 1} },
		} {
			var copied any
			if copied, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
				t.Fatal(err)
			}
			damage(copied.(map[string]any)) //nolint:errcheck // it would panic, and it is one
			if schema.Validate(copied) == nil {
				t.Errorf("%s: damaged, it passes", name)
			}
		}
	}
}

// TestEventIDs compares the handler's derived ids with the table that the Action and the backfill also use.
func TestEventIDs(t *testing.T) {
	t.Parallel()
	rows := eventIDs(t)
	for _, row := range rows {
		if got := registration.DeriveID(row.Tenant, row.UserID, row.CreatedAt); got != row.EventID {
			t.Errorf("%s: got %s, want %s", row.Name, got, row.EventID)
		}
	}
	if len(rows) == 0 {
		t.Error("the table is empty")
	}
}

// eventID is a row of auth0/testdata/ids.json.
type eventID struct {
	Name      string `json:"name"`
	Tenant    string `json:"tenant"`
	UserID    string `json:"userId"`
	CreatedAt string `json:"createdAt"`
	EventID   string `json:"eventId"`
}

func eventIDs(t *testing.T) (rows []eventID) {
	t.Helper()
	if err := json.Unmarshal(read(t, filepath.Join(sources, "testdata", "ids.json")), &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}
