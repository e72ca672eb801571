package e2e_test

import (
	"os/exec"
	"syscall"
	"testing"
)

func ownSession() *syscall.SysProcAttr { return nil }

// signalGroup kills the program, because Windows has no signals. Its children notice that.
func signalGroup(t *testing.T, cmd *exec.Cmd, _ syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
}
