//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks a file until it is closed, or the process ends.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G703: the user names it
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what for
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		_ = f.Close()
		return nil, err //nolint:wrapcheck // likewise
	}
	return f, nil
}
