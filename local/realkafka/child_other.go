//go:build !linux

package realkafka

import "syscall"

// childAttr leaves the child in the parent's process group, so that at least the terminal's Ctrl-C reaches both.
func childAttr() *syscall.SysProcAttr { return nil }
