package realkafka

import "syscall"

// childAttr has the kernel kill the child when the thread that started it ends. A process group of its own keeps the
// terminal's Ctrl-C from the child: the parent decides what it means.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
