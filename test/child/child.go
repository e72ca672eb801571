// Package child starts processes that live no longer than this one, ends them and says what they cost. Their end of it is
// parent.Context.
package child

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const stopLimit = time.Minute // then a child is killed

// Process is a child as its parent sees it.
type Process struct {
	cmd    *exec.Cmd
	stderr tail
	stdout *bufio.Reader // nil: thrown away
	done   chan struct{} // closed when the child is gone
}

// Spec says what to start.
type Spec struct {
	Program string
	Args    []string
	Env     []string  // NAME=VALUE; nothing of this process's own, which would make measurements depend on it
	Output  bool      // Line reads the child's standard output
	Stderr  io.Writer // also gets the child's standard error; nil: nobody does
}

// Start starts a child. It must be stopped.
func Start(s Spec) (*Process, error) {
	p := &Process{cmd: exec.Command(s.Program, s.Args...), done: make(chan struct{})} //nolint:gosec,noctx // G204: the caller's own program; Stop ends it
	p.cmd.Env = append([]string{}, s.Env...)                                          // never nil, which would mean this process's own
	p.cmd.Stderr = &p.stderr
	if s.Stderr != nil {
		p.cmd.Stderr = io.MultiWriter(&p.stderr, s.Stderr)
	}
	p.cmd.WaitDelay = stopLimit
	if s.Output {
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		p.stdout = bufio.NewReader(out)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.cmd.Path, err)
	}
	go func() {
		_ = p.cmd.Wait() // its state says the same
		close(p.done)
	}()
	return p, nil
}

// Line returns the next line that the child writes, without its end.
func (p *Process) Line() (string, error) {
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("read what the child says: %w%s", err, p.said())
	}
	return strings.TrimSuffix(line, "\n"), nil
}

// Gone returns why the child is gone, or nil while it runs.
func (p *Process) Gone() error {
	select {
	case <-p.done:
		return fmt.Errorf("the child ended: %v%s", p.cmd.ProcessState, p.said())
	default:
		return nil
	}
}

// said is the end of what the child wrote to its standard error, for the end of an error.
func (p *Process) said() string {
	if s := p.stderr.String(); s != "" {
		return "; it said: " + s
	}
	return ""
}

// Stop tells the child to end and returns when it is gone; after a minute it is killed. That a child which was told to end
// does not return 0 is no error.
func (p *Process) Stop() error {
	if p.signal(syscall.SIGTERM) != nil {
		_ = p.cmd.Process.Kill() // there are no such signals here, or it is gone
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopLimit):
	}
	err := p.cmd.Process.Kill()
	<-p.done
	return errors.Join(fmt.Errorf("child %s did not end in %v%s", p.cmd.Path, stopLimit, p.said()), err)
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the child, halted or not, and returns when it is gone.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.PID(), err)
	}
	<-p.done
	return nil
}

// Halt has the child stand still, its connections open. It returns [errors.ErrUnsupported] where there is no such signal.
func (p *Process) Halt() error { return p.signal(halt) }

// Resume has a child that stands still go on.
func (p *Process) Resume() error { return p.signal(resume) }

func (p *Process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("send %v to process %d: %w", s, p.PID(), err)
	}
	return nil
}

// Usage is what a process holds.
type Usage struct {
	Known   bool // only Linux tells
	MiB     float64
	Peak    float64 // MiB, since its start
	Files   int     // open, connections included
	Threads int
}

// UsageOf looks at a process in /proc. Where there is no such thing, or no such process, nothing is known.
func UsageOf(pid int) Usage {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	files, filesErr := os.ReadDir(filepath.Join(dir, "fd"))
	if errors.Join(err, filesErr) != nil {
		return Usage{}
	}
	value := func(name string) (n float64) {
		_, after, _ := strings.Cut(string(status), "\n"+name+":")
		_, _ = fmt.Sscan(after, &n) // 0 where there is none
		return n
	}
	rss := value("VmRSS") / 1024
	return Usage{Known: rss > 0, MiB: rss, Peak: value("VmHWM") / 1024, Files: len(files), Threads: int(value("Threads"))}
}

func (u Usage) String() string {
	if !u.Known {
		return "not measured"
	}
	return fmt.Sprintf("%.1f MiB, %d descriptors, %d threads", u.MiB, u.Files, u.Threads)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	end []byte
}

const maxTail = 2048 // bytes

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, b...)
	t.end = t.end[max(0, len(t.end)-maxTail):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.end))
}
