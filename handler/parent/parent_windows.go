package parent

import (
	"os"
	"syscall"
)

// watch keeps a handle of the parent: its id stays the same here when it is gone, and may be used again.
func watch() (gone func() bool, release func()) {
	handle, err := syscall.OpenProcess(syscall.SYNCHRONIZE, false, uint32(os.Getppid()))
	if err != nil {
		return func() bool { return false }, func() {}
	}
	gone = func() bool {
		event, err := syscall.WaitForSingleObject(handle, 0)
		return err == nil && event == syscall.WAIT_OBJECT_0
	}
	return gone, func() { _ = syscall.CloseHandle(handle) }
}
