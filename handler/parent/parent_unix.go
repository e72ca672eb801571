//go:build unix

package parent

import "os"

func watch() (gone func() bool, release func()) {
	parent := os.Getppid()
	return func() bool { return parent != 1 && os.Getppid() != parent }, func() {}
}
