package certs

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// Errors of the file system become sentences without the path. (As root a test may read every file.)
func TestOpenRule(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"may not read":         &fs.PathError{Op: "open", Path: "v4lue", Err: fs.ErrPermission},
		"no file of that name": &fs.PathError{Op: "stat", Path: "v4lue", Err: fs.ErrNotExist},
		"can be opened":        &fs.PathError{Op: "stat", Path: "v4lue", Err: syscall.ENAMETOOLONG},
	} {
		if text := openRule(err).Error(); !strings.Contains(text, want) || strings.Contains(text, "v4lue") {
			t.Errorf("%v: got %q, want %q", err, text, want)
		}
	}
}
