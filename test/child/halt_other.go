//go:build !unix

package child

import "syscall"

const halt, resume = syscall.Signal(0), syscall.Signal(0) // package os refuses them
