package e2e_test

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/local/realkafka"
	"userrelay/test/localrun"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// localRun is a running `go run ./local`.
type localRun struct {
	*process
	client      // of the function's host
	addresses   localrun.Addresses
	page        page
	ready, temp string // the file of -ready, its folder for temporary files
}

// startLocal starts `go run ./local` as a user does, but with free ports, and waits until everything answers. At the
// test's end it gets an interrupt, as from Ctrl-C.
func startLocal(t *testing.T, args ...string) *localRun {
	t.Helper()
	l := beginLocal(t, nil, args...)
	l.await(t)
	return l
}

// await waits until everything answers.
func (l *localRun) await(t *testing.T) {
	t.Helper()
	wait.For(t, "local is ready", func() bool {
		_, err := os.Stat(l.ready)
		return err == nil || !l.running()
	})
	l.addresses = must.Get[localrun.Addresses](t)(localrun.Read(l.ready))
	l.page = page{newClient(t, l.addresses.Page)}
	if base, ok := strings.CutSuffix(l.addresses.URL, "/api/RegisterUser"); ok {
		l.client = newClient(t, base)
	}
}

// beginLocal is startLocal without the wait. Variables of env are set for it.
func beginLocal(t *testing.T, env []string, args ...string) *localRun {
	t.Helper()
	l := &localRun{temp: t.TempDir(), ready: filepath.Join(t.TempDir(), "ready.json")}
	args = slices.Concat([]string{"run", "./local", "-port", "0", "-ready", l.ready}, args)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "go", args...)
	cmd.Dir = moduleRoot
	cmd.Env = slices.Concat(cmd.Environ(), []string{"TMPDIR=" + l.temp, "TMP=" + l.temp}, env)
	cmd.SysProcAttr = ownSession()
	l.process = start(t, cmd)
	t.Cleanup(func() { l.end(t) })
	return l
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

// path is the function's, with its key.
func (l *localRun) path() string { return "/api/RegisterUser?code=" + l.addresses.Key }

// register posts a body to the function as its callers do.
func (l *localRun) register(t *testing.T, body string, headers ...string) reply {
	t.Helper()
	return l.call(t, http.MethodPost, l.path(), body, headers...)
}

// records reads the topic.
func (l *localRun) records(t *testing.T) []realkafka.Record {
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

// needProc skips a test if the system has no /proc, in which family looks.
func needProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: finds the children of a process in /proc, which only Linux has")
	}
}

// family returns the living processes of the session, all of them or those of a name.
func (l *localRun) family(t *testing.T, name string) (pids []int) {
	t.Helper()
	session := []byte(strconv.Itoa(l.cmd.Process.Pid))
	for _, dir := range must.Get[[]string](t)(fs.Glob(os.DirFS("/proc"), "[0-9]*")) {
		text, _ := os.ReadFile(filepath.Join("/proc", dir, "stat")) // it may have ended meanwhile
		// pid (name) state parent group session …; the name may hold anything.
		closing := bytes.LastIndexByte(text, ')')
		fields := bytes.Fields(text[closing+1:])
		if len(fields) < 4 || !bytes.Equal(fields[3], session) || bytes.ContainsAny(fields[0], "ZX") {
			continue
		}
		if name == "" || bytes.HasSuffix(text[:closing], []byte("("+name)) {
			pids = append(pids, must.Get[int](t)(strconv.Atoi(dir)))
		}
	}
	return pids
}

// killOne kills the only process of a name.
func (l *localRun) killOne(t *testing.T, name string) {
	t.Helper()
	pids := l.family(t, name)
	if len(pids) != 1 {
		t.Fatalf("got processes %v of the name %s, want one", pids, name)
	}
	if err := must.Get[*os.Process](t)(os.FindProcess(pids[0])).Kill(); err != nil {
		t.Fatal(err)
	}
	wait.For(t, name+" is gone", func() bool { return !slices.Contains(l.family(t, name), pids[0]) })
}

// localSettings reads a local.settings.json.
func localSettings(t *testing.T, file string) (env []string) {
	t.Helper()
	var settings struct {
		IsEncrypted bool              `json:"IsEncrypted"`
		Values      map[string]string `json:"Values"`
	}
	text := must.Get[[]byte](t)(os.ReadFile(file))
	if err := json.Unmarshal(text, &settings, json.RejectUnknownMembers(true)); err != nil || settings.IsEncrypted {
		t.Fatalf("read %s: %v", text, err)
	}
	for name, value := range settings.Values {
		env = append(env, name+"="+value)
	}
	return env
}
