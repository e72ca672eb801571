//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// descriptors returns the limit of open files and connections of this process and each child.
func descriptors() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	return int(min(limit.Cur, 1<<20)), nil
}
