package auth0

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"userrelay/handler/registration"
)

const (
	functionURL = "https://app.example.com/api/RegisterUser"
	functionKey = `key:'#"\/=&*!|>%@==` // characters that mean something to YAML
)

func functionEnv() []string {
	return []string{"FUNCTION_URL=" + functionURL, "FUNCTION_KEY=" + functionKey}
}

// deploy imports a file of a folder as docs/auth0.md says. The tool takes up to a minute on a busy machine, because it
// compiles a schema of everything in a tenant.
func deploy(t *testing.T, a *tenant, folder, file string, env []string) outcome {
	t.Helper()
	cli, err := filepath.Abs(module(t, sources, "auth0-deploy-cli/lib/index.js"))
	if err != nil {
		t.Fatal(err)
	}
	done := execute(t, folder, append(a.env(), env...), node(t), cli, "import", "-c", "config.json", "-i", file)
	for _, secret := range []string{functionKey, clientSecret, accessToken} {
		if strings.Contains(done.String(), secret) {
			t.Errorf("the output of the import of %s holds a secret:\n%s", file, done)
		}
	}
	return done
}

// wantChanges checks that the import succeeded, and the requests that it sent.
func (a *tenant) wantChanges(t *testing.T, done outcome, want ...sent) {
	t.Helper()
	if done.code != 0 {
		t.Fatalf("exit code %d\n%s", done.code, done)
	}
	if diff := cmp.Diff(want, a.changes(), cmp.AllowUnexported(sent{}), cmpopts.SortSlices(byRequest)); diff != "" {
		t.Errorf("sent to the tenant (-want +got):\n%s", diff)
	}
}

// byRequest sorts concurrent requests of the tool.
func byRequest(a, b sent) bool {
	return fmt.Sprint(a.request, a.body["name"]) < fmt.Sprint(b.request, b.body["name"])
}

// theAction is the expected request.
func theAction(t *testing.T) map[string]any {
	t.Helper()
	return map[string]any{
		"name": "notify-user-registered", "code": string(read(t, actionCode)), "runtime": "node22", "dependencies": []any{},
		"supported_triggers": []any{map[string]any{"id": "post-user-registration", "version": "v2"}},
		"secrets": []any{
			map[string]any{"name": "FUNCTION_URL", "value": functionURL},
			map[string]any{"name": "SEND_PROFILE", "value": "false"},
			map[string]any{"name": "FUNCTION_KEY", "value": functionKey},
		},
	}
}

// TestDeployNew deploys both Actions to an empty tenant. To save time both are in one file here and below.
func TestDeployNew(t *testing.T) {
	t.Parallel()
	a := startTenant(t)
	folder := deployFolder(t, "both.yaml", without(t, "action.yaml", ""), without(t, "stream-action.yaml", "actions:\n"))
	done := deploy(t, a, folder, "both.yaml", functionEnv())
	a.wantChanges(t, done,
		sent{"POST actions/actions", theAction(t)}, sent{"POST actions/actions", theStreamAction(t)},
		sent{"POST actions/actions/act-1/deploy", nil}, sent{"POST actions/actions/act-2/deploy", nil})
}

// deployFolder makes a folder with an import of several parts, its configuration and the Actions' code.
func deployFolder(t *testing.T, name string, parts ...[]byte) (folder string) {
	t.Helper()
	folder = t.TempDir()
	write(t, filepath.Join(folder, name), bytes.Join(parts, nil))
	write(t, filepath.Join(folder, "config.json"), read(t, filepath.Join(sources, "config.json")))
	for _, code := range []string{actionCode, streamCode} {
		path, err := filepath.Rel(sources, code)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, path), read(t, code))
	}
	return folder
}

// without returns a file of auth0/ without a line, so that it can be appended to another one.
func without(t *testing.T, file, line string) []byte {
	t.Helper()
	text := string(read(t, filepath.Join(sources, file)))
	if !strings.Contains(text, line) {
		t.Fatalf("%s has no %q", file, line)
	}
	return []byte(strings.Replace(text, line, "", 1))
}

// TestDeployAgain deploys the Action to a tenant that has it, and both Event Streams. The stream that runs an Action
// refers to it by the tenant's id.
func TestDeployAgain(t *testing.T) {
	t.Parallel()
	a := startTenant(t)
	a.has(func() {
		a.actions = []map[string]any{{
			"id": "act-1", "name": "notify-user-registered", "code": "older", "runtime": "node18", "status": "built",
			"supported_triggers": []any{map[string]any{"id": "post-user-registration", "version": "v2"}},
			"secrets":            []any{map[string]any{"name": "FUNCTION_URL"}},
		}, {
			"id": "act-7", "name": "notify-user-created", "status": "built",
			"supported_triggers": []any{map[string]any{"id": "event-stream", "version": "v1"}},
		}}
	})
	folder := deployFolder(t, "both.yaml", without(t, "action.yaml", ""), without(t, "event-stream.yaml", ""), without(t, "event-stream-action.yaml", "eventStreams:\n"))
	done := deploy(t, a, folder, "both.yaml", functionEnv())
	a.wantChanges(t, done,
		sent{"PATCH actions/actions/act-1", theAction(t)},
		sent{"POST actions/actions/act-1/deploy", nil},
		sent{"POST event-streams", map[string]any{
			"name": "userrelay", "status": "enabled",
			"subscriptions": []any{map[string]any{"event_type": "user.created"}},
			"destination": map[string]any{"type": "webhook", "configuration": map[string]any{
				"webhook_endpoint": functionURL,
				"webhook_authorization": map[string]any{
					"method": "custom_header", "header_key": "x-functions-key", "header_value": functionKey,
				},
			}},
		}},
		sent{"POST event-streams", map[string]any{
			"name": "userrelay-action", "status": "enabled",
			"subscriptions": []any{map[string]any{"event_type": "user.created"}},
			"destination":   map[string]any{"type": "action", "configuration": map[string]any{"action_id": "act-7"}},
		}})
}

// TestSubscriptions checks that all streams, deployed from files or by Terraform, subscribe to exactly the types that the function
// forwards.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	streams, types := 0, regexp.MustCompile(`[a-z]+(\.[a-z]+)+`)
	for file, list := range map[string]string{
		"event-stream.yaml":        `(?m)subscriptions:\n((?: +- event_type: .+\n)+)`,
		"event-stream-action.yaml": `(?m)subscriptions:\n((?: +- event_type: .+\n)+)`,
		"terraform/main.tf":        `subscriptions += \[(.+)\]`,
	} {
		for _, found := range regexp.MustCompile(list).FindAllStringSubmatch(string(read(t, filepath.Join(sources, file))), -1) {
			streams++
			if got := types.FindAllString(found[1], -1); !slices.Equal(got, []string{registration.Type}) {
				t.Errorf("%s subscribes to %q", file, got)
			}
		}
	}
	if streams != 4 {
		t.Errorf("%d streams", streams)
	}
}

func theStreamAction(t *testing.T) map[string]any {
	t.Helper()
	return map[string]any{
		"name": "notify-user-created", "code": string(read(t, streamCode)), "runtime": "node22", "dependencies": []any{},
		"supported_triggers": []any{map[string]any{"id": "event-stream", "version": "v1"}},
		"secrets": []any{
			map[string]any{"name": "FUNCTION_URL", "value": functionURL},
			map[string]any{"name": "FUNCTION_KEY", "value": functionKey},
		},
	}
}

// TestDeployUnset shows that nothing is deployed if a secret is not set, and that the error shows no other secret.
func TestDeployUnset(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"action.yaml", "event-stream.yaml", "stream-action.yaml"} {
		for unset, env := range map[string][]string{
			"FUNCTION_KEY": functionEnv()[:1], "FUNCTION_URL": functionEnv()[1:],
		} {
			t.Run(file+" "+unset, func(t *testing.T) {
				t.Parallel()
				a := startTenant(t)
				done := deploy(t, a, sources, file, env)
				if changes := a.changes(); done.code == 0 || len(changes) > 0 {
					t.Errorf("got exit code %d and %v, want a failure and no change\n%s", done.code, changes, done)
				}
				if !strings.Contains(done.String(), "@@"+unset+"@@") {
					t.Errorf("the error does not name %s:\n%s", unset, done)
				}
			})
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
