//go:build windows

package funchost

import (
	"os"
	"syscall"
)

// ownGroup keeps Ctrl-C of the console from the handler, for the reason that group_unix.go gives.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func exitCode(state *os.ProcessState) int { return state.ExitCode() }
