package parent

import (
	"os"
	"syscall"
)

// watch keeps a handle of the parent. The parent's id does not change when it is gone, and another process may get it.
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
