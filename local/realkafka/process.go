package realkafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// process is a child process with a goroutine that waits for its end.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child is gone and has been waited for
	err  error         // of Wait, valid after done
}

// startProcess starts cmd. The goroutine keeps its thread until the child is gone: see the package comment.
func startProcess(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = childAttr()
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// runProcess runs cmd to its end and returns its output. The calling goroutine keeps its thread during that time.
func runProcess(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = childAttr()
	return cmd.CombinedOutput()
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the child at once, paused or not, and returns when it is gone.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.cmd.Process.Pid, err)
	}
	<-p.done
	return nil
}

// stop sends the child a signal to end and returns when it is gone. If ctx ends first it kills the child.
func (p *process) stop(ctx context.Context) error {
	err := errors.Join(resume(p.cmd.Process), terminate(p.cmd.Process))
	if err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("stop process %d: %w", p.cmd.Process.Pid, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop process %d, killed instead: %w", p.cmd.Process.Pid, ctx.Err()), p.kill())
	}
}
