//go:build unix

package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// ownGroup puts a program into a separate process group, as a terminal does.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// signalGroup sends a signal to a program and its children, as a terminal does.
func signalGroup(t *testing.T, cmd *exec.Cmd, s os.Signal) {
	t.Helper()
	number, ok := s.(syscall.Signal)
	if !ok {
		t.Fatalf("no signal: %v", s)
	}
	if err := syscall.Kill(-cmd.Process.Pid, number); err != nil && !errors.Is(err, syscall.ESRCH) { // it may have ended
		t.Errorf("send %v: %v", s, err)
	}
}
