//go:build unix

package realkafka

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// SIGTERM and not SIGINT: a JVM whose parent ignores SIGINT, as a shell's background job does, ignores it too.
func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

func pause(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

// tryLock takes the lock of f, which the kernel gives back when f is closed or the process dies.
// It reports false when another process has it.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return true, nil
}
