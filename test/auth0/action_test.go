package auth0

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"userrelay/test/must"
)

// TestAction runs the Actions' own tests on Auth0's Node. It requires full branch coverage; for the second Action
// without the branches of the profile, which it never has.
func TestAction(t *testing.T) {
	t.Parallel()
	tests, err := filepath.Glob(filepath.Join(sources, "test", "*.test.mjs"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests (%v)", err)
	}
	path, auth0s := actionNode(t)
	args := []string{"--test", "--test-reporter=spec"}
	if auth0s {
		args = append(args, "--experimental-test-coverage", "--test-coverage-include=actions/notify-user-*/**", "--test-coverage-functions=100")
	}
	for _, file := range tests {
		args = append(args, "test/"+filepath.Base(file))
	}
	done := execute(t, sources, nil, path, args...)
	if done.code != 0 {
		t.Errorf("exit code %d\n%s", done.code, done)
	}
	covered := regexp.MustCompile(`(?m)(notify-user-\w+) .*\n.* code\.js +\| +(\S+) \| +(\S+) \|`).FindAllStringSubmatch(done.stdout, -1)
	if auth0s && (len(covered) != 2 || covered[0][2] < "95" || covered[0][3] < "90" || covered[1][2] != "100.00" || covered[1][3] != "100.00") {
		t.Errorf("got coverage %q", covered)
	}
}

// TestBuilt shows that the Actions' code equals the output of build.mjs, and that its check notices other code.
func TestBuilt(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	build := func(code int, args ...string) {
		t.Helper()
		if done := execute(t, folder, nil, node(t), append([]string{"build.mjs"}, args...)...); done.code != code {
			t.Errorf("build.mjs %q: exit code %d, want %d\n%s", args, done.code, code, done)
		}
	}
	for file := range strings.FieldsSeq("build.mjs package.json actions/src/delivery.js actions/src/notify-user-registered.js actions/src/notify-user-created.js") {
		write(t, filepath.Join(folder, file), read(t, filepath.Join(sources, file)))
	}
	build(1, "--check") // nothing is built
	build(0)
	build(0, "--check")
	for _, code := range []string{actionCode, streamCode} {
		built := filepath.Join(folder, must.Get[string](t)(filepath.Rel(sources, code)))
		if !bytes.Equal(read(t, built), read(t, code)) {
			t.Errorf("%s is not what its sources make", code)
		}
		write(t, built, []byte("changed by hand"))
	}
	build(1, "--check")
}

// TestPublishedTypes checks the fixtures of Event Streams and the requests to the Management API against the types that
// Auth0 publishes in its npm package auth0, and that each with a number instead of a string would be noticed.
func TestPublishedTypes(t *testing.T) {
	t.Parallel()
	tsc, types := module(t, ".", "typescript/bin/tsc"), filepath.Dir(module(t, ".", "auth0/package.json"))
	registered, created := theActions(t)
	damaged := regexp.MustCompile(`"(time|runtime|header_key|display_name|event_type)":"[^"]*"`)
	var source bytes.Buffer
	_, _ = fmt.Fprintf(&source, "import type { Management } from %q;\n", filepath.ToSlash(types)) // a buffer takes all
	for i, v := range [][2]string{
		{"CreateActionRequestContent", jsonOf(t, registered)},
		{"CreateActionRequestContent", jsonOf(t, created)},
		{"EventStreamCloudEventUserCreatedCloudEvent", jsonOf(t, event(t, "event-stream-action")["message"])},
		{"EventStreamCloudEventUserCreatedCloudEvent", jsonOf(t, event(t, "event-stream-social"))},
		{"EventStreamCloudEventUserCreatedCloudEvent", string(read(t, root+"/handler/registration/testdata/requests/event-stream.json"))},
		{"CreateEventStreamActionRequestContent", jsonOf(t, theStream("userrelay-action", map[string]any{"type": "action", "configuration": map[string]any{"action_id": "act-1"}}))},
		{"EventStreamWebhookCustomHeaderAuth", `{"method":"custom_header","header_key":"x-functions-key"}`}, // of the answer, which does not repeat the value
		{"ActionBindingWithRef", `{"ref":{"type":"binding_id","value":"b1"},"display_name":"mail"}`},
	} {
		value := jsonOf(t, jsontext.Value(v[1])) // on one line, which the comment below is about
		_, _ = fmt.Fprintf(&source, "export const right%d: Management.%s = %s;\n", i, v[0], value)
		_, _ = fmt.Fprintf(&source, "// @ts-expect-error\nexport const wrong%d: Management.%s = %s;\n", i, v[0], damaged.ReplaceAllString(value, `"$1":0`))
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "check.ts"), source.Bytes())
	if done := execute(t, folder, nil, node(t), tsc, "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022",
		"--module", "esnext", "--moduleResolution", "bundler", "check.ts"); done.code != 0 {
		t.Errorf("not of Auth0's types, or a wrong value passes:\n%s", done)
	}
}

// TestEventSchema checks the events of the Action's tests against the schema of the trigger.
func TestEventSchema(t *testing.T) {
	t.Parallel()
	schema := must.Get[*jsonschema.Schema](t)(jsonschema.NewCompiler().Compile(filepath.Join(sources, "testdata", "post-user-registration.schema.json")))
	for _, name := range []string{"database-signup", "passwordless-email", "passwordless-sms", "management-api"} {
		e := event(t, name)
		if err := schema.Validate(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		e["user"] = map[string]any{"user_id": 1}
		if schema.Validate(e) == nil {
			t.Errorf("%s: a user whose id is a number passes", name)
		}
	}
}
