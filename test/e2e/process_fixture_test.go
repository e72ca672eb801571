package e2e_test

import (
	"context"
	"os/exec"
	"testing"

	"userrelay/test/recorder"
	"userrelay/test/wait"
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

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
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
