package certs

import (
	"io/fs"
	"strings"
	"testing"
)

// A file that may not be read is reported without its path. (As root a test may read every file.)
func TestNoPermission(t *testing.T) {
	t.Parallel()
	text := openRule(&fs.PathError{Op: "open", Path: "v4lue", Err: fs.ErrPermission}).Error()
	if !strings.Contains(text, "may not read") || strings.Contains(text, "v4lue") {
		t.Errorf("got %q", text)
	}
}
