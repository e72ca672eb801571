//go:build unix

package funchost

import (
	"os"
	"syscall"
)

// ownGroup puts the handler into a separate process group. Ctrl-C in a terminal goes to every process of the
// foreground group. In the group of the program that embeds the host, the handler would end while the host still has
// requests for it, and its exit would count as a crash. Apart from it, the program decides: it drains and then kills
// the handler, which, as on Azure, sees no signal.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// exitCode is the code as .NET has it: 128 + n where signal n ended the process.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
