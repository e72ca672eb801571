package funchost_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

const (
	functionKey = "key-of-register-user"
	otherKey    = "key-of-other"
	hostKey     = "key-of-host"
	masterKey   = "key-of-master"
	systemKey   = "key-of-system"
)

// app is a function app: the members of host.json's customHandler and of its top level, and each function's bindings.
type app struct {
	handler     map[string]any
	description map[string]any // the one within handler
	top         map[string]any
	functions   map[string]string
}

const httpOut = `{"type":"http","direction":"out","name":"res"}`

// standard has a function of every level, a disabled one, and one with its own route.
func standard() app {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	trigger := func(members string) string {
		return `{"bindings":[{"type":"httpTrigger","direction":"in","name":"req"` + members + `},` + httpOut + `]}`
	}
	description := map[string]any{"defaultExecutablePath": exe}
	return app{
		description: description, handler: map[string]any{"description": description},
		top: map[string]any{"version": "2.0"},
		functions: map[string]string{
			"RegisterUser": trigger(`,"authLevel":"function","methods":["post"]`),
			"Other":        trigger(``),
			"Open":         trigger(`,"authLevel":"anonymous"`),
			"Secret":       trigger(`,"authLevel":"Admin","methods":["get"]`),
			"Off":          trigger(`,"authLevel":"anonymous"`),
			"Routed":       trigger(`,"authLevel":"anonymous","route":"Some/Where","methods":["get"]`),
			"RoutedPut":    trigger(`,"authLevel":"anonymous","route":"some/where","methods":["PUT"]`),
		},
	}
}

func (a app) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	top := maps.Clone(a.top)
	top["customHandler"] = a.handler
	data, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "host.json"), string(data))
	for name, text := range a.functions {
		writeFile(t, filepath.Join(dir, name, "function.json"), text)
	}
	return dir
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// config returns the standard app's configuration, with keys and the probe as handler. start has the probe's
// instructions for its start.
func config(t *testing.T, mode funchost.Mode, start string) funchost.Config {
	t.Helper()
	return funchost.Config{
		Dir:  standard().write(t),
		Mode: mode,
		Env: append([]string{}, probeVar+"=1", startVar+"="+start, "AzureWebJobs.Off.Disabled=true",
			"AzureWebJobs__Open__Disabled=true"), // with __ it has no effect
		Keys: funchost.Keys{
			Functions: map[string]string{"registerUSER": functionKey, "Other": otherKey},
			Host:      hostKey, Master: masterKey, System: systemKey,
		},
		Color: true,
	}
}

// rig is a running host with its console and a client.
type rig struct {
	*funchost.Host
	console *recorder
	client  *http.Client
}

func start(t *testing.T, cfg funchost.Config) *rig {
	t.Helper()
	return startIn(t.Context(), t, cfg)
}

func startIn(ctx context.Context, t *testing.T, cfg funchost.Config) *rig {
	t.Helper()
	r := &rig{console: &recorder{}}
	cfg.Console = r.console
	host, err := funchost.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	r.Host = host
	r.client = &http.Client{
		Timeout:       wait.Patience,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		_ = host.Close() // tests check Err if it matters
		transport.CloseIdleConnections()
		if t.Failed() {
			t.Logf("console:\n%s", r.console)
		}
	})
	return r
}

// reply is a complete answer. Err is the client's error if there was none.
type reply struct {
	status int
	header http.Header
	length int64
	body   string
	err    error
}

// seen decodes the probe's answer.
func (a reply) seen(t *testing.T) seen {
	t.Helper()
	var s seen
	if err := json.Unmarshal([]byte(strings.TrimPrefix(a.body, "first ")), &s); err != nil {
		t.Fatalf("status %d, %v, want the probe's answer: %q (%v)", a.status, a.err, a.body, err)
	}
	return s
}

// wantEmpty checks that the answer has the status and no body.
func (a reply) wantEmpty(t *testing.T, status int) {
	t.Helper()
	if a.err != nil || a.status != status || a.body != "" || a.length != 0 {
		t.Errorf("got %d %q (length %d, error %v), want %d and nothing", a.status, a.body, a.length, a.err, status)
	}
}

// call sends a request. Headers are "Name: value"; the path may have a query.
func (r *rig) call(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	return r.do(r.request(t, method, path, body, headers...))
}

func (r *rig) request(t *testing.T, method, path, body string, headers ...string) *http.Request {
	t.Helper()
	var reader io.Reader = http.NoBody
	if body != "" {
		reader = bytes.NewReader([]byte(body))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Add(name, value)
	}
	return req
}

func (r *rig) do(req *http.Request) reply {
	resp, err := r.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, resp.ContentLength, string(body), err}
}

// begin sends a request and returns a channel for its answer.
func (r *rig) begin(t *testing.T, method, path, body string, headers ...string) <-chan reply {
	t.Helper()
	req, answer := r.request(t, method, path, body, headers...), make(chan reply, 1)
	var wg sync.WaitGroup
	wg.Go(func() { answer <- r.do(req) })
	t.Cleanup(wg.Wait)
	return answer
}

// tell returns the header with instructions for the probe.
func tell(pairs ...string) string {
	values := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		values.Add(pair[0], pair[1])
	}
	return headerTell + ": " + values.Encode()
}

// wantHeaders checks that each header has one line that matches.
func wantHeaders(t *testing.T, got http.Header, want map[string]string) {
	t.Helper()
	for name, pattern := range want {
		lines := got.Values(name)
		switch {
		case pattern == "" && len(lines) == 0:
		case pattern != "" && len(lines) == 1 && regexp.MustCompile("^(?:"+pattern+")$").MatchString(lines[0]):
		default:
			t.Errorf("%s: got %q, want %q", name, lines, pattern)
		}
	}
}

// modes are the two modes of HTTP requests.
func modes() []struct {
	name string
	mode funchost.Mode
} {
	return []struct {
		name string
		mode funchost.Mode
	}{{"forward", funchost.Forward}, {"proxy", funchost.Proxy}}
}

func contains(file, text string) bool {
	data, err := os.ReadFile(file)
	return err == nil && strings.Contains(string(data), text)
}
