//go:build unix

package e2e_test

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"
)

// ownSession puts a program into a session and a process group of its own, as a terminal does.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// signalGroup sends a signal to a program and its children, as a terminal does.
func signalGroup(t *testing.T, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) { // it may have ended
		t.Errorf("send %v: %v", s, err)
	}
}
