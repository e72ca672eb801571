package e2e_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func ownGroup() *syscall.SysProcAttr { return nil }

// signalGroup kills the program, whatever the signal: there are none here. Its children notice.
func signalGroup(t *testing.T, cmd *exec.Cmd, _ os.Signal) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
}
