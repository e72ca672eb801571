package auth0

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"userrelay/handler/registration"
	"userrelay/test/skip"
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
	cli := module(t, sources, "auth0-deploy-cli/lib/index.js")
	done := execute(t, folder, append(a.env(), env...), node(t), cli, "import", "-c", "config.json", "-i", file)
	for _, secret := range []string{functionKey, clientSecret, accessToken} {
		if strings.Contains(done.String(), secret) {
			t.Errorf("the output of the import of %s holds a secret:\n%s", file, done)
		}
	}
	return done
}

// theAction is the expected request for an Action, with secrets by name and value.
func theAction(t *testing.T, code, trigger, version string, secrets ...string) map[string]any {
	t.Helper()
	var list []any
	for pair := range slices.Chunk(secrets, 2) {
		list = append(list, map[string]any{"name": pair[0], "value": pair[1]})
	}
	return map[string]any{
		"name": filepath.Base(filepath.Dir(code)), "code": string(read(t, code)), "runtime": "node22", "dependencies": []any{},
		"supported_triggers": []any{map[string]any{"id": trigger, "version": version}}, "secrets": list,
	}
}

// theActions are the expected requests for both.
func theActions(t *testing.T) (registered, created map[string]any) {
	t.Helper()
	return theAction(t, actionCode, "post-user-registration", "v2", "FUNCTION_URL", functionURL, "SEND_PROFILE", "false", "FUNCTION_KEY", functionKey),
		theAction(t, streamCode, "event-stream", "v1", "FUNCTION_URL", functionURL, "FUNCTION_KEY", functionKey)
}

// theStream is the expected request for an Event Stream.
func theStream(name string, destination map[string]any) map[string]any {
	return map[string]any{
		"name": name, "status": "enabled", "subscriptions": []any{map[string]any{"event_type": "user.created"}}, "destination": destination,
	}
}

// TestDeploy deploys both Actions and both Event Streams, in one import to save time, to a tenant that has an older
// version of the second Action. The stream that runs this Action refers to it by the tenant's id.
func TestDeploy(t *testing.T) {
	t.Parallel()
	a := startTenant(t, &tenant{actions: []map[string]any{{
		"id": "act-7", "name": "notify-user-created", "code": "older", "runtime": "node18", "status": "built",
		"supported_triggers": []any{map[string]any{"id": "event-stream", "version": "v1"}},
		"secrets":            []any{map[string]any{"name": "FUNCTION_URL"}},
	}}})
	folder, files := t.TempDir(), []string{}
	for _, file := range []string{"config.json", "actions/notify-user-registered/code.js", "actions/notify-user-created/code.js"} {
		write(t, filepath.Join(folder, file), read(t, filepath.Join(sources, file)))
	}
	for _, file := range []string{"action.yaml", "stream-action.yaml", "event-stream.yaml", "event-stream-action.yaml"} {
		files = append(files, string(read(t, filepath.Join(sources, file))))
	}
	all := strings.Join(files, "")
	for _, heading := range []string{"\nactions:\n", "\neventStreams:\n"} { // each only once
		before, after, _ := strings.Cut(all, heading)
		all = before + heading + strings.ReplaceAll(after, heading, "\n")
	}
	write(t, filepath.Join(folder, "all.yaml"), []byte(all))
	if done := deploy(t, a, folder, "all.yaml", functionEnv()); done.code != 0 {
		t.Fatalf("exit code %d\n%s", done.code, done)
	}
	registered, created := theActions(t)
	want := []sent{
		{"POST actions/actions", registered},
		{"PATCH actions/actions/act-7", created},
		{"POST actions/actions/act-2/deploy", nil},
		{"POST actions/actions/act-7/deploy", nil},
		{"POST event-streams", theStream("userrelay", map[string]any{"type": "webhook", "configuration": map[string]any{
			"webhook_endpoint": functionURL,
			"webhook_authorization": map[string]any{
				"method": "custom_header", "header_key": "x-functions-key", "header_value": functionKey,
			},
		}})},
		{"POST event-streams", theStream("userrelay-action", map[string]any{"type": "action", "configuration": map[string]any{"action_id": "act-7"}})},
	}
	byRequest := func(a, b sent) bool {
		return fmt.Sprint(a.request, a.body["name"]) < fmt.Sprint(b.request, b.body["name"])
	}
	if diff := cmp.Diff(want, a.changes(), cmp.AllowUnexported(sent{}), cmpopts.SortSlices(byRequest)); diff != "" {
		t.Errorf("sent to the tenant (-want +got):\n%s", diff)
	}
}

// TestSubscriptions checks that all streams, deployed from files or by Terraform, subscribe to exactly the types that the function
// forwards.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	subscription := regexp.MustCompile(`event_type: (.+)|subscriptions += \["(.+)"\]`)
	for file, streams := range map[string]int{"event-stream.yaml": 1, "event-stream-action.yaml": 1, "terraform/main.tf": 2} {
		found := subscription.FindAllStringSubmatch(string(read(t, filepath.Join(sources, file))), -1)
		if len(found) != streams {
			t.Errorf("%s has %d subscriptions, want %d", file, len(found), streams)
		}
		for _, f := range found {
			if got := f[1] + f[2]; got != registration.Type {
				t.Errorf("%s subscribes to %s", file, got)
			}
		}
	}
}

// TestDeployUnset shows that nothing is deployed if a secret is not set, and that the error, which shows the lines around
// it, shows no other secret.
func TestDeployUnset(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, unset string }{
		{"action.yaml", "FUNCTION_URL"}, {"event-stream.yaml", "FUNCTION_URL"}, {"stream-action.yaml", "FUNCTION_URL"}, {"action.yaml", "FUNCTION_KEY"},
	} {
		t.Run(c.file+" "+c.unset, func(t *testing.T) {
			t.Parallel()
			if form := regexp.MustCompile(`: @@FUNCTION_(URL|KEY)@@\n`); len(form.FindAll(read(t, filepath.Join(sources, c.file)), -1)) != 2 {
				t.Errorf("%s: the secrets are not @@NAME@@", c.file)
			}
			a := startTenant(t, &tenant{})
			env := slices.DeleteFunc(functionEnv(), func(setting string) bool { return strings.HasPrefix(setting, c.unset) })
			done := deploy(t, a, sources, c.file, env)
			if changes := a.changes(); done.code == 0 || len(changes) > 0 || !strings.Contains(done.String(), "@@"+c.unset+"@@") {
				t.Errorf("got exit code %d and %v, want a failure that names %s and no change\n%s", done.code, changes, c.unset, done)
			}
		})
	}
}

// bound is a binding in the API's list.
func bound(id, name string) map[string]any {
	return map[string]any{
		"id": id, "trigger_id": "post-user-registration", "display_name": name + " shown",
		"action": map[string]any{"id": "act-" + id, "name": name},
	}
}

func byID(id, name string) map[string]any {
	return map[string]any{"ref": map[string]any{"type": "binding_id", "value": id}, "display_name": name + " shown"}
}

// TestBind shows that binding the Action keeps the other bindings in their order, and adds ours once at the end. A failure
// is reported in one line without secrets, and changes nothing.
func TestBind(t *testing.T) {
	t.Parallel()
	ours := map[string]any{
		"ref":          map[string]any{"type": "action_name", "value": "notify-user-registered"},
		"display_name": "notify-user-registered",
	}
	two := []map[string]any{bound("b2", "mail"), bound("b1", "crm")}
	for name, c := range map[string]struct {
		bindings []map[string]any
		env      []string // besides the tenant's
		code     int
		says     string
		want     []any // nil: no change
	}{
		"none":   {says: "notify-user-registered is bound, after 0 others\n", want: []any{ours}},
		"others": {bindings: two, says: "notify-user-registered is bound, after 2 others\n", want: []any{byID("b2", "mail"), byID("b1", "crm"), ours}},
		"ours":   {bindings: append(two, bound("b3", "notify-user-registered")), says: "notify-user-registered is bound already, nothing was changed\n"},

		"not set":        {env: []string{"AUTH0_DOMAIN=", "AUTH0_CLIENT_SECRET="}, code: 1, says: "bind: not set: AUTH0_DOMAIN, AUTH0_CLIENT_SECRET\n"},
		"wrong secret":   {env: []string{"AUTH0_CLIENT_SECRET=wr0ng"}, code: 1, says: "bind: POST /oauth/token: HTTP 401\n"},
		"not trusted":    {env: []string{"NODE_EXTRA_CA_CERTS="}, code: 1, says: "bind: POST /oauth/token: no answer (DEPTH_ZERO_SELF_SIGNED_CERT)\n"},
		"more than came": {bindings: slices.Repeat(two, 51), code: 1, says: "bind: 100 of 102 bindings came: bind it in the Dashboard\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startTenant(t, &tenant{bindings: c.bindings})
			done := execute(t, sources, append(a.env(), c.env...), node(t), "bind.mjs")
			if done.code != c.code || done.String() != c.says || (done.stderr == "") != (c.code == 0) {
				t.Errorf("got exit code %d and %q, want %d and %q", done.code, done, c.code, c.says)
			}
			var want []sent
			if c.want != nil {
				want = []sent{{"PATCH actions/triggers/post-user-registration/bindings", map[string]any{"bindings": c.want}}}
			}
			if diff := cmp.Diff(want, a.changes(), cmp.AllowUnexported(sent{})); diff != "" {
				t.Errorf("sent to the tenant (-want +got):\n%s", diff)
			}
		})
	}
}

// attributes returns the attributes, with the blocks that they are in, that a configuration in Terraform's own format
// sets for each type of resource.
func attributes(configuration string) map[string][]string {
	set := map[string][]string{}
	for _, resource := range regexp.MustCompile(`(?ms)^resource "(\w+)".*?^}`).FindAllStringSubmatch(configuration, -1) {
		var path []string
		for _, line := range regexp.MustCompile(`(?m)^((?:  )+)(\w+) +([={])`).FindAllStringSubmatch(resource[0], -1) {
			path = append(path[:len(line[1])/2-1], line[2])
			if name := strings.Join(path, "."); line[3] == "=" && name != "count" && !slices.Contains(set[resource[1]], name) {
				set[resource[1]] = append(set[resource[1]], name)
			}
		}
	}
	return set
}

// TestTerraform shows that the configuration is formatted, deploys the Actions' code, and sets only attributes that
// resources of Terraform's provider auth0/auth0 1.55 have according to its documentation: none that stores a secret in
// the state, and no resource that changes other bindings. The provider itself does not check it, because neither the
// provider nor its client of the Management API is available as a Go module here.
func TestTerraform(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("terraform")
	if err != nil {
		skip.For(t, "needs Terraform; see developer.hashicorp.com/terraform/install")
	}
	configuration := filepath.Join(sources, "terraform")
	if done := execute(t, configuration, nil, program, "fmt", "-check", "-diff", "-recursive"); done.code != 0 {
		t.Errorf("not formatted:\n%s", done)
	}
	main := string(read(t, filepath.Join(configuration, "main.tf")))
	want := map[string][]string{
		"auth0_action": {
			"name", "runtime", "deploy", "code", "supported_triggers.id", "supported_triggers.version",
			"secrets_wo.name", "secrets_wo.value", "secrets_wo_version",
		},
		"auth0_trigger_action": {"trigger", "action_id"},
		"auth0_event_stream": {
			"name", "destination_type", "subscriptions", "action_configuration.action_id", "webhook_configuration.webhook_endpoint",
			"webhook_configuration.webhook_authorization.method", "webhook_configuration.webhook_authorization.header_key",
			"webhook_configuration.webhook_authorization.header_value_wo", "webhook_configuration.webhook_authorization.header_value_wo_version",
		},
	}
	if diff := cmp.Diff(want, attributes(main)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	for _, file := range regexp.MustCompile(`file\("\$\{path\.module\}/([^"]+)"\)`).FindAllStringSubmatch(main, -1) {
		read(t, filepath.Join(configuration, file[1]))
	}
	variables := string(read(t, filepath.Join(configuration, "variables.tf")))
	if key := regexp.MustCompile(`(?s)variable "function_key" \{.*?\n\}`).FindString(variables); !strings.Contains(key, "ephemeral   = true") {
		t.Errorf("the key gets into plans: %s", key)
	}
}
