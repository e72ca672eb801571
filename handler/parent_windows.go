package main

import (
	"os"
	"syscall"
)

// watchParent returns a function that says whether the parent process is gone. The id of the parent stays the same on
// Windows, so a handle is kept, which also keeps the id from being used again.
func watchParent() (gone func() bool, stop func()) {
	handle, err := syscall.OpenProcess(syscall.SYNCHRONIZE, false, uint32(os.Getppid())) //nolint:gosec // G115: ids are 32 bits wide there
	if err != nil {
		return func() bool { return false }, func() {}
	}
	gone = func() bool {
		event, err := syscall.WaitForSingleObject(handle, 0)
		return err == nil && event == syscall.WAIT_OBJECT_0
	}
	return gone, func() { _ = syscall.CloseHandle(handle) }
}
