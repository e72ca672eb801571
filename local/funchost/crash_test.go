package funchost_test

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

// TestCrash has a handler that exits with an error three times: twice it is restarted at once, on the same port, and
// then the host stops.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			first := r.call(t, "GET", open, "").seen(t)
			report := filepath.Join(t.TempDir(), "report")
			innocent := r.begin(t, "POST", open, "x", tell("report", report, "wait", report+".never"))
			wait.For(t, "the innocent request", func() bool { return contains(report, "started") })
			r.call(t, "POST", open, "x", tell("stderr", "one", "stderr", "two", "stderr", "a warning", "stderr", "three", "stderr", "four", "exit", "3")).
				wantEmpty(t, http.StatusInternalServerError)
			wait.Receive(t, "the innocent request's answer", innocent).wantEmpty(t, http.StatusInternalServerError)
			wait.For(t, "a new handler", func() bool { return r.console.count("Worker process started") == 2 })
			second := r.call(t, "GET", open, "").seen(t)
			if second.PID == first.PID || second.Hits != 1 {
				t.Errorf("pid %d after %d, request %d of it: want a new process", second.PID, first.PID, second.Hits)
			}
			const port, id = "FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_CUSTOMHANDLER_WORKER_ID"
			if variable(second.Env, port) != variable(first.Env, port) || variable(second.Env, id) == variable(first.Env, id) {
				t.Error("want the same port and another worker id")
			}
			if !r.console.matches(`Language Worker Process exited\. Pid=\d+\.`) || !r.console.matches(`exited with code 3 \(0x3\): two,three,four`) {
				t.Error("the console does not tell of the crash and of the last three errors")
			}

			process, err := os.FindProcess(second.PID)
			if err != nil {
				t.Fatal(err)
			}
			if err := process.Kill(); err != nil {
				t.Fatal(err)
			}
			wait.For(t, "a third handler", func() bool { return r.console.count("Worker process started") == 3 })
			r.call(t, "GET", open, "").seen(t)

			r.call(t, "POST", open, "x", tell("exit", "1")).wantEmpty(t, http.StatusInternalServerError)
			wantStopped(t, r, "Exceeded http worker restart retry count. Shutting down Functions Host")
			if n := r.console.count("Language Worker Process exited"); n != 3 {
				t.Errorf("the console tells of %d crashes, want 3", n)
			}
		})
	}
}

// TestCrashAtStart stops the host after three launches.
func TestCrashAtStart(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	r := start(t, config(t, funchost.Forward, "exit=2&stderr=KAFKA_BROKERS+is+required&log="+log))
	wantStopped(t, r, "KAFKA_BROKERS is required")
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "started"); n != 3 {
		t.Errorf("%d launches, want 3", n)
	}
	if !r.console.has("Exceeded http worker restart retry count. Shutting down Functions Host") {
		t.Error("the console does not say why the host stops")
	}
}

// TestExit0 shows that a handler that exits with 0 is not restarted.
func TestExit0(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			r.call(t, "GET", open, "").seen(t)
			r.call(t, "POST", open, "x", tell("exit", "0")).wantEmpty(t, http.StatusInternalServerError)
			wait.For(t, "the handler's end", func() bool { return r.HandlerPID() == 0 })
			one, two := r.begin(t, "POST", open, "x"), r.begin(t, "GET", open, "")
			wait.Receive(t, "the first answer", one).wantEmpty(t, http.StatusInternalServerError)
			wait.Receive(t, "the second answer", two).wantEmpty(t, http.StatusInternalServerError)
			if r.HandlerPID() != 0 || r.console.count("Worker process started") != 1 {
				t.Error("the handler was started again")
			}
			if r.console.has("Language Worker Process exited") {
				t.Error("the console tells of the end")
			}
			if err := r.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
	}
}

// TestExit200 shows that this code causes a restart that does not count as a crash.
func TestExit200(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, ""))
	for i := range 4 {
		wait.For(t, "the handler", func() bool { return r.console.count("Worker process started") == i+1 })
		r.call(t, "POST", open, "x", tell("exit", "200")).wantEmpty(t, http.StatusInternalServerError)
	}
	wait.For(t, "the handler", func() bool { return r.console.count("Worker process started") == 5 })
	r.call(t, "GET", open, "").seen(t)
	if n := r.console.count("Language Worker Process exited and needs to be restarted."); n != 4 {
		t.Errorf("the console tells of %d restarts, want 4", n)
	}
}

// TestUnstartable shows the behaviour of a host whose handler is not a program.
func TestUnstartable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, path, want string }{
		{"not executable", "handler", "permission denied"},
		{"missing", "nothing-of-this-name", "not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name == "not executable" && runtime.GOOS == "windows" {
				t.Skip("Windows has no execute permission")
			}
			a := standard()
			a.description["defaultExecutablePath"] = tt.path
			cfg := config(t, funchost.Forward, "")
			cfg.Dir = a.write(t)
			writeFile(t, filepath.Join(cfg.Dir, "handler"), "not a program")
			r := start(t, cfg)
			r.call(t, "GET", open, "").wantEmpty(t, http.StatusInternalServerError)
			wantStopped(t, r, tt.want)
			if n := r.console.count("Failed to start Worker Channel. "); n != 1 || !r.console.matches("Failed to start Worker Channel.*"+tt.path+".*"+tt.want) {
				t.Errorf("the console has %d lines, want one that names the file and %q", n, tt.want)
			}
		})
	}
}

// TestFunctionTimeout shows that a function that takes too long ends the handler with all its other requests, and that
// this is not a crash.
func TestFunctionTimeout(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			report := filepath.Join(t.TempDir(), "report")
			cfg := config(t, mode.mode, "")
			cfg.FunctionTimeout = time.Second // a busy machine needs some of it for an answer
			r := start(t, cfg)
			for i := range 4 {
				wait.For(t, "the handler", func() bool { return r.console.count("Worker process started") > i })
				slow := r.begin(t, "POST", open, "x", tell("report", report, "wait", report+".never"))
				wait.For(t, "the slow request", func() bool { return r.console.count("Executing ") > 2*i })
				innocent := r.begin(t, "POST", open, "x", tell("report", report, "wait", report+".never"))
				wait.Receive(t, "the slow request's answer", slow).wantEmpty(t, http.StatusInternalServerError)
				wait.Receive(t, "the innocent request's answer", innocent).wantEmpty(t, http.StatusInternalServerError)
			}
			wait.For(t, "an answer", func() bool { return r.call(t, "GET", open, "").status == http.StatusOK })
			if !r.console.matches(`Timeout value of 1s exceeded by function 'Functions\.Open' \(Id: '` + uuid + `'\)`) {
				t.Error("the console does not tell of the timeout")
			}
			if contains(report, "finished") || r.console.has("Exceeded") {
				t.Error("the slow request came to its end, or the restarts were counted")
			}
		})
	}
}

// TestFunctionTimeoutOfHostJSON shows the source of the limit if the configuration has none.
func TestFunctionTimeoutOfHostJSON(t *testing.T) {
	t.Parallel()
	a := standard()
	a.top["functionTimeout"] = "0.00:00:00.2500000"
	cfg := config(t, funchost.Forward, "")
	cfg.Dir = a.write(t)
	r := start(t, cfg)
	r.call(t, "POST", open, "x", tell("wait", cfg.Dir+".never", "report", filepath.Join(cfg.Dir, "report"))).wantEmpty(t, http.StatusInternalServerError)
	if !r.console.has("Timeout value of 250ms exceeded") {
		t.Error("the console does not tell of the timeout")
	}
}
