package funchost_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"userrelay/local/freeport"
	"userrelay/local/funchost"
	"userrelay/test/wait"
)

// TestHandlerEnvironment checks the arguments and the environment of the handler.
func TestHandlerEnvironment(t *testing.T) {
	t.Parallel()
	a := standard()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a.handler["description"] = map[string]any{
		"defaultExecutablePath": "%BIN%", "arguments": []string{"-a", "%WORD%%UNSET%", "two words", "\"one word\"", "%FUNCTIONS_CUSTOMHANDLER_PORT%"},
		"defaultWorkerPath": "a path", "workerArguments": []string{"-z"}, "workingDirectory": "work",
	}
	cfg := config(t, funchost.Forward, "")
	cfg.Dir = a.write(t)
	if err := os.Mkdir(filepath.Join(cfg.Dir, "work"), 0o750); err != nil {
		t.Fatal(err)
	}
	cfg.Env = append(cfg.Env, "BIN=elsewhere", "BIN="+exe, "WORD=word", "FUNCTIONS_APP_ROOT_PATH=elsewhere")
	r := start(t, cfg)
	got := r.call(t, "GET", open, "").seen(t)
	port := variable(got.Env, "FUNCTIONS_CUSTOMHANDLER_PORT")
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || variable(got.Env, "FUNCTIONS_HTTPWORKER_PORT") != port {
		t.Errorf("ports %q and %q, want one", port, variable(got.Env, "FUNCTIONS_HTTPWORKER_PORT"))
	}
	id := variable(got.Env, "FUNCTIONS_CUSTOMHANDLER_WORKER_ID")
	wantHeaders(t, http.Header{"Id": {id}}, map[string]string{"Id": uuid})
	if other := variable(got.Env, "FUNCTIONS_HTTPWORKER_ID"); other != id {
		t.Errorf("worker ids %q and %q, want one", id, other)
	}
	if root := variable(got.Env, "FUNCTIONS_APP_ROOT_PATH"); root != cfg.Dir {
		t.Errorf("root %q, want %q", root, cfg.Dir)
	}
	if want := []string{"-a", "word", "two", "words", "one word", port, "a path", "-z"}; !slices.Equal(got.Args, want) {
		t.Errorf("arguments %q, want %q", got.Args, want)
	}
	sameDir(t, got.Dir, filepath.Join(cfg.Dir, "work"))
	if variable(got.Env, "WORD") != "word" || got.PID != r.HandlerPID() {
		t.Errorf("WORD is %q, pid %d, HandlerPID %d", variable(got.Env, "WORD"), got.PID, r.HandlerPID())
	}
	if len(got.Root) != 0 || got.Roots == 0 {
		t.Errorf("probed %d times with headers %v, want none but Host", got.Roots, got.Root)
	}
}

// TestHandlerOverrides starts the handler that settings name instead of host.json, on the port of host.json.
func TestHandlerOverrides(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	a := standard()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a.description["defaultExecutablePath"] = "nothing"
	a.description["arguments"] = []string{"not", "these"}
	a.handler["enableProxyingHttpRequest"] = true
	a.handler["port"] = port
	cfg := config(t, funchost.Auto, "")
	cfg.Dir = a.write(t)
	if err := os.Symlink(exe, filepath.Join(cfg.Dir, "probe")); err != nil {
		t.Skipf("needs symbolic links: %v", err)
	}
	const prefix = "azurefunctionsjobhost__customHandler__"
	cfg.Env = append(cfg.Env, prefix+"description__defaultExecutablePath=probe", prefix+`description__arguments=["these"]`,
		prefix+"enableProxyingHttpRequest=FALSE", prefix+"enableForwardingHttpRequest=true")
	if _, err := funchost.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "customHandler.port") {
		t.Fatalf("started with a taken port: %v", err)
	}
	if err := errors.Join(listener.Close(), freeport.Refused(t.Context(), listener.Addr().String())); err != nil {
		t.Fatal(err)
	}
	got := start(t, cfg).call(t, "GET", "/api/Open?A=1&a=2", "").seen(t)
	sameDir(t, got.Dir, cfg.Dir)
	if !slices.Equal(got.Args, []string{"these"}) || variable(got.Env, "FUNCTIONS_CUSTOMHANDLER_PORT") != port {
		t.Errorf("arguments %q, port %s, want those of the settings", got.Args, variable(got.Env, "FUNCTIONS_CUSTOMHANDLER_PORT"))
	}
	if got.URI != "/api/Open?a=1,2" {
		t.Errorf("the handler got %s, want it forwarded, not proxied", got.URI)
	}
}

func sameDir(t *testing.T, got, want string) {
	t.Helper()
	a, err := os.Stat(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Stat(want)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(a, b) {
		t.Errorf("directory %s, want %s", got, want)
	}
}

// TestModes checks which mode host.json selects.
func TestModes(t *testing.T) {
	t.Parallel()
	const forwarded, proxied = "/api/Open?a=", "/api/Open?a"
	for _, tt := range []struct {
		name           string
		mode           funchost.Mode
		forward, proxy bool
		want           string
	}{
		{"forwarding", funchost.Auto, true, false, forwarded},
		{"proxying", funchost.Auto, false, true, proxied},
		{"both", funchost.Auto, true, true, proxied},
		{"told to forward", funchost.Forward, false, true, forwarded},
		{"told to proxy", funchost.Proxy, true, false, proxied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := standard()
			a.handler["enableForwardingHttpRequest"], a.handler["enableProxyingHttpRequest"] = tt.forward, tt.proxy
			cfg := config(t, tt.mode, "")
			cfg.Dir = a.write(t)
			if got := start(t, cfg).call(t, "GET", "/api/Open?a", "").seen(t).URI; got != tt.want {
				t.Errorf("the handler got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestRequestsWaitForTheHandler also checks that a 404 to the probe is enough.
func TestRequestsWaitForTheHandler(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			gate := filepath.Join(t.TempDir(), "gate")
			r := start(t, config(t, mode.mode, "gate="+gate))
			answer := r.begin(t, "GET", open, "")
			wait.For(t, "the invocation", func() bool { return r.console.has("Executing 'Functions.Open'") })
			r.call(t, "GET", "/", "")
			select {
			case got := <-answer:
				t.Fatalf("answered before the handler was started: %+v", got)
			default:
			}
			if r.console.has("Worker process started") {
				t.Error("the console says that the handler is ready")
			}
			writeFile(t, gate, "")
			wait.Receive(t, "the answer", answer).seen(t)
			if !r.console.matches(`Worker process started and initialized\.$`) {
				t.Error("the console does not say that the handler is ready")
			}
		})
	}
}

// TestHandlerNeverListens stops the host after three launches, each given up after initializationTimeout.
func TestHandlerNeverListens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := config(t, funchost.Forward, "gate="+filepath.Join(dir, "never")+"&log="+filepath.Join(dir, "log"))
	cfg.Dir = impatient("00:00:00.15").write(t)
	r := start(t, cfg)
	wantStopped(t, r, "Exceeded http worker restart retry count")
	if n := r.console.count("Initializing HttpWorker timed out."); n != 3 {
		t.Errorf("the console tells of %d timeouts, want 3", n)
	}
}

// TestHandlerNeverAnswersTheProbe shows that initializationTimeout does not apply after a connection was accepted, and
// that requests wait until the host gives up, after four times that timeout.
func TestHandlerNeverAnswersTheProbe(t *testing.T) {
	t.Parallel()
	wait.LongEnough(t, "a program's start", time.Second, func(limit time.Duration) bool {
		cfg := config(t, funchost.Forward, "rootgate="+filepath.Join(t.TempDir(), "never"))
		cfg.Dir = impatient(clock(limit)).write(t)
		r := start(t, cfg)
		r.call(t, "GET", open, "").wantEmpty(t, http.StatusInternalServerError)
		wait.Receive(t, "the host's end", r.Done())
		if r.console.has("HttpWorker timed out") {
			return false
		}
		wantStopped(t, r, "waited too long")
		if !r.console.has("Final functionDispatcher state: Initializing.") {
			t.Error("the console gives another reason")
		}
		return true
	})
}

// TestWaitingCountsForTheFunctionTimeout is the same with a shorter time limit of the function.
func TestWaitingCountsForTheFunctionTimeout(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	a := standard()
	a.top["functionTimeout"] = "00:00:01"
	cfg := config(t, funchost.Forward, "rootgate="+gate)
	cfg.Dir = a.write(t)
	r := start(t, cfg)
	wait.For(t, "the handler's start", func() bool { return r.HandlerPID() != 0 })
	before := r.HandlerPID()
	r.call(t, "GET", open, "").wantEmpty(t, http.StatusInternalServerError)
	writeFile(t, gate, "")
	wait.For(t, "a new handler", func() bool { return r.HandlerPID() != 0 && r.HandlerPID() != before })
	wait.For(t, "an answer", func() bool { return r.call(t, "GET", open, "").status == http.StatusOK })
}

// impatient is an app with a very short initialization timeout.
func impatient(timeout string) app {
	a := standard()
	a.handler["initializationTimeout"] = timeout
	return a
}

// wantStopped checks that the host stopped by itself, and its error.
func wantStopped(t *testing.T, r *rig, why string) {
	t.Helper()
	wait.Receive(t, "the host's end", r.Done())
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("the host stopped for %v, want %q", err, why)
	}
	if r.HandlerPID() != 0 {
		t.Errorf("process %d is left", r.HandlerPID())
	}
	if got := r.call(t, "GET", "/", ""); got.err == nil {
		t.Errorf("the host still answers: %+v", got)
	}
}
