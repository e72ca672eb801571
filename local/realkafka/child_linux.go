package realkafka

import "syscall"

// childAttr makes the kernel kill the child when the thread that started it ends. A separate process group keeps the
// terminal's Ctrl-C from the child, because the parent decides how to react.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
