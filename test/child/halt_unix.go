//go:build unix

package child

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
