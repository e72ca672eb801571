package e2e_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"userrelay/local/freeport"
	"userrelay/test/must"
	"userrelay/test/recorder"
	"userrelay/test/wait"
)

// noOutbox and mostTime are for tests without the outbox: Kafka may use the whole time of an answer, because the
// machine may be busy. Later settings override them.
const (
	noOutbox = "OUTBOX=off"
	mostTime = "KAFKA_TIMEOUT=4s"
)

// process is a child process with its output.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *recorder.Recorder
	ended          chan struct{} // closed when it has ended and its output is complete
}

// startProcess starts a program with only the given environment. It is killed at the test's end at the latest.
func startProcess(t *testing.T, env []string, path string, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...) // cleanups end it in their own order
	cmd.Env = append([]string{}, env...)                                          // not nil, which would be this process's
	return start(t, cmd)
}

// start starts a command, whose output it collects.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, stdout: &recorder.Recorder{}, stderr: &recorder.Recorder{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	cmd.WaitDelay = wait.Patience // for children that hold its output open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended but where the test failed
		<-p.ended
		if t.Failed() {
			t.Logf("stdout of %s:\n%sstderr:\n%s", cmd.Path, p.stdout, p.stderr)
		}
	})
	return p
}

// wait waits for the end and returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	wait.Receive(t, "the end of "+p.cmd.Path, p.ended)
	return p.cmd.ProcessState.ExitCode()
}

// running says that the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// runHandler runs the handler to its end.
func runHandler(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := startProcess(t, append([]string{noOutbox}, env...), handlerBinary, args...)
	code = p.wait(t)
	return code, p.stdout.String(), p.stderr.String()
}

// handlerRun is a running handler, without a host in front.
type handlerRun struct {
	*process
	client
	address string
}

// startHandler starts the handler with these settings (NAME=VALUE) and waits until it answers. At the test's end the
// handler gets an interrupt, as from Ctrl-C, and must exit with 0; after a data race the code differs.
func startHandler(t *testing.T, settings ...string) *handlerRun {
	t.Helper()
	for try := 1; ; try++ {
		h := startUnder(t, settings, handlerBinary)
		if h.ready(t) {
			t.Cleanup(func() { h.interrupt(t) })
			return h
		}
		if taken := strings.Contains(h.stderr.String(), "address already in use"); !taken || try == 5 {
			t.Fatal("the handler does not start")
		}
	}
}

// startUnder starts a program that is the handler or starts it.
func startUnder(t *testing.T, settings []string, program string, args ...string) *handlerRun {
	t.Helper()
	port := freePort(t)
	env := slices.Concat([]string{noOutbox, mostTime}, settings, []string{"FUNCTIONS_CUSTOMHANDLER_PORT=" + strconv.Itoa(port)})
	return &handlerRun{startProcess(t, env, program, args...), newClient(t, "http://"+loopback(port)), loopback(port)}
}

// ready waits until the handler answers or has ended, and says whether it answers.
func (h *handlerRun) ready(t *testing.T) bool {
	t.Helper()
	answers := false
	wait.For(t, "the handler answers", func() bool {
		_, err := h.try(t.Context(), http.MethodGet, "/", http.NoBody)
		answers = err == nil
		return answers || !h.running()
	})
	return answers
}

// interrupt ends a running handler as Ctrl-C does.
func (h *handlerRun) interrupt(t *testing.T) {
	t.Helper()
	h.http.CloseIdleConnections()
	if !h.running() || runtime.GOOS == "windows" { // no signals there; it is killed
		return
	}
	h.signal(t, os.Interrupt)
	if code := h.wait(t); code != 0 {
		t.Errorf("after Ctrl-C: exit code %d, want 0", code)
	}
}

// listening says whether the handler accepts new connections.
func (h *handlerRun) listening(t *testing.T) bool {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: wait.Patience}).DialContext(t.Context(), "tcp4", h.address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func freePort(t *testing.T) int {
	t.Helper()
	return must.Get[int](t)(freeport.Find(t.Context()))
}

// needSignals skips a test on systems without signals.
func needSignals(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows has no signals")
	}
}
