package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// process is a child that can be killed and halted.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it is gone
}

// startProcess starts a child and returns the first line that it prints, if that is wanted. Its environment is env alone.
// It must be killed.
func startProcess(program string, args, env []string, stderr io.Writer, wantLine bool) (*process, string, error) {
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{})} //nolint:gosec,noctx // G204: our own programs; kill ends it
	p.cmd.Env = append([]string{}, env...)
	p.cmd.Stderr = stderr
	read, write, err := os.Pipe()
	if err != nil {
		return nil, "", fmt.Errorf("make a pipe: %w", err)
	}
	if wantLine {
		p.cmd.Stdout = write
	}
	err = p.cmd.Start()
	_ = write.Close() // the child has its own
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("start %s: %w", program, err), read.Close())
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is nobody's concern
	}()
	line := ""
	if wantLine {
		line, err = bufio.NewReader(read).ReadString('\n')
	}
	_ = read.Close()
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("start %s: it says nothing: %w", program, err), p.kill())
	}
	return p, strings.TrimSpace(line), nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the child, halted or not, and returns when it is gone.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.pid(), err)
	}
	<-p.done
	return nil
}

func (p *process) halt() error   { return halt(p.cmd.Process) }
func (p *process) resume() error { return resume(p.cmd.Process) }
