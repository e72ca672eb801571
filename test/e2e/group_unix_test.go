//go:build unix

package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// ownSession puts a program into a session and a process group of its own, as a terminal does.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

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
