//go:build unix

package main

import "os"

// watchParent returns a function that says whether the parent process is gone. The Functions host does not end its
// handler when it is killed itself, and the handler would keep the port and the old settings. A process whose parent
// is init from the beginning is somebody's service and no orphan.
func watchParent() (gone func() bool, stop func()) {
	parent := os.Getppid()
	return func() bool { return parent != 1 && os.Getppid() != parent }, func() {}
}
