//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

func halt(p *os.Process) error   { return signal(p, syscall.SIGSTOP) }
func resume(p *os.Process) error { return signal(p, syscall.SIGCONT) }

func signal(p *os.Process, s syscall.Signal) error {
	if err := p.Signal(s); err != nil {
		return fmt.Errorf("send %v to process %d: %w", s, p.Pid, err)
	}
	return nil
}

// descriptors is how many files and connections this process, and any child of it, may have open.
func descriptors() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	return int(min(limit.Cur, 1<<20)), nil
}
