package e2e_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

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
	var err error
	wait.For(t, "local is ready", func() bool {
		l.addresses, err = localrun.Read(l.ready)
		return err == nil || !l.running()
	})
	if err != nil {
		t.Fatal(err)
	}
	l.page = page{newClient(t, l.addresses.Page)}
	l.knows(t, l.addresses.URL, l.addresses.Key)
}

// knows has its client use a function.
func (l *localRun) knows(t *testing.T, url, key string) {
	t.Helper()
	base, _, _ := strings.Cut(url, "/api/")
	l.client = newClient(t, base)
	l.function += "?code=" + key
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
	t.Cleanup(func() { l.interrupt(t) })
	return l
}

// interrupt ends it as Ctrl-C does, if it runs.
func (l *localRun) interrupt(t *testing.T) {
	t.Helper()
	if l.running() {
		signalGroup(t, l.cmd, syscall.SIGINT)
		l.wait(t) // the code is that of go run, whatever local's is
	}
}

// checkInterrupt ends it as Ctrl-C does, which must look like a normal end.
func (l *localRun) checkInterrupt(t *testing.T) {
	t.Helper()
	l.interrupt(t)
	l.checkEnd(t)
	if l.stderr.String() != "" || strings.Contains(l.stdout.String(), "signal") {
		t.Errorf("it says %s%s", l.stderr, l.stdout)
	}
}

// checkEnd waits for its end, and shows that no process and no file is left.
func (l *localRun) checkEnd(t *testing.T) {
	t.Helper()
	l.wait(t)
	if runtime.GOOS != "linux" {
		return
	}
	wait.For(t, "all have ended", func() bool { return len(l.family(t, "")) == 0 })
	if left, err := filepath.Glob(filepath.Join(l.temp, "userrelay-*")); err != nil || len(left) > 0 {
		t.Errorf("these files are left: %q (%v)", left, err)
	}
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

// killHandler kills the handler as soon as there is one.
func (l *localRun) killHandler(t *testing.T) {
	t.Helper()
	var pids []int
	wait.For(t, "the handler is there", func() bool {
		pids = l.family(t, "handler")
		return len(pids) == 1
	})
	if err := must.Get[*os.Process](t)(os.FindProcess(pids[0])).Kill(); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the handler is gone", func() bool { return !slices.Contains(l.family(t, "handler"), pids[0]) })
}

// localSettings reads a local.settings.json.
func localSettings(t *testing.T, file string) (env []string) {
	t.Helper()
	var settings struct {
		Values map[string]string `json:"Values"`
	}
	if err := json.Unmarshal(must.Get[[]byte](t)(os.ReadFile(file)), &settings); err != nil {
		t.Fatal(err)
	}
	for name, value := range settings.Values {
		env = append(env, name+"="+value)
	}
	return env
}
