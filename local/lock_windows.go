package main

import (
	"errors"
	"os"
	"syscall"
)

// lockFile opens a file that no other process can open until it is closed, or the process ends.
func lockFile(name string) (*os.File, error) {
	const sharingViolation = syscall.Errno(32)
	path, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what for
	}
	h, err := syscall.CreateFile(path, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return nil, errLocked
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // likewise
	}
	return os.NewFile(uintptr(h), name), nil
}
