//go:build unix

package child

import "syscall"

const halt, resume = syscall.SIGSTOP, syscall.SIGCONT
