package e2e_test

import (
	"context"
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

	"userrelay/test/localrun"
	"userrelay/test/wait"
)

// localBinary is the handler's path in `go run ./local`.
func localBinary() string {
	if runtime.GOOS == "windows" {
		return "bin/handler.exe"
	}
	return "bin/handler"
}

// localRun is a running `go run ./local`.
type localRun struct {
	*process
	client    // of the function's host
	addresses localrun.Addresses
	page      page
	temp      string // its folder for temporary files
}

// startLocal starts `go run ./local` as a user does, but with free ports, and waits until everything answers. At the
// test's end it gets an interrupt, as from Ctrl-C.
func startLocal(t *testing.T, args ...string) *localRun {
	t.Helper()
	l := &localRun{temp: t.TempDir()}
	ready := filepath.Join(t.TempDir(), "ready.json")
	l.process = start(t, localCommand(t, l.temp, ready, args...))
	t.Cleanup(func() { l.end(t) })
	wait.For(t, "local is ready", func() bool {
		_, err := os.Stat(ready)
		return err == nil || !l.running()
	})
	var err error
	if l.addresses, err = localrun.Read(ready); err != nil {
		t.Fatal(err)
	}
	l.page = page{newClient(t, l.addresses.Page)}
	if base, ok := strings.CutSuffix(l.addresses.URL, "/api/RegisterUser"); ok {
		l.client = newClient(t, base)
	}
	return l
}

// localCommand is the command with which startLocal starts it.
func localCommand(t *testing.T, temp, ready string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "go", slices.Concat([]string{"run", "./local", "-port", "0", "-ready", ready}, args)...)
	cmd.Dir = moduleRoot
	cmd.Env = append(cmd.Environ(), "TMPDIR="+temp, "TMP="+temp)
	cmd.SysProcAttr = ownGroup()
	return cmd
}

// end ends it if the test has not.
func (l *localRun) end(t *testing.T) {
	t.Helper()
	if !l.running() {
		return
	}
	signalGroup(t, l.cmd, os.Interrupt)
	select {
	case <-l.ended:
	case <-time.After(wait.Patience):
		t.Error("local does not end")
		signalGroup(t, l.cmd, os.Kill)
	}
}

// registerWithKey posts a body to the function as its callers do.
func (l *localRun) registerWithKey(t *testing.T, body string, headers ...string) reply {
	t.Helper()
	return l.call(t, http.MethodPost, "/api/RegisterUser?code="+l.addresses.Key, body, headers...)
}

// records reads the topic.
func (l *localRun) records(t *testing.T) []record {
	t.Helper()
	return readTopic(t, l.addresses.Brokers)
}

// says waits until the console shows the pattern, whose ^ and $ are those of a line, and returns the match.
func (l *localRun) says(t *testing.T, pattern string) (match []string) {
	t.Helper()
	expr := regexp.MustCompile("(?m)" + pattern)
	wait.For(t, "the console says "+pattern, func() bool {
		match = expr.FindStringSubmatch(l.stdout.String())
		return match != nil
	})
	return match
}

// localSettings reads a local.settings.json.
func localSettings(t *testing.T, file string) (env []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var settings struct {
		IsEncrypted bool              `json:"IsEncrypted"`
		Values      map[string]string `json:"Values"`
	}
	if err := json.Unmarshal(text, &settings, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("read %s: %v", text, err)
	}
	if settings.IsEncrypted {
		t.Error("the settings are marked as encrypted")
	}
	for name, value := range settings.Values {
		env = append(env, name+"="+value)
	}
	return env
}
