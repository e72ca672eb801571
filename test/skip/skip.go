// Package skip is for tests that want what a machine may lack.
package skip

import (
	"os"
	"testing"
)

// For skips a test for want of what the text names. With the variable CI set nothing may be skipped: the test fails.
func For(tb testing.TB, want string) {
	tb.Helper()
	if os.Getenv("CI") != "" { //nolint:forbidigo // a test has no main to read settings in
		tb.Fatal("CI is set and nothing may be skipped: " + want)
	}
	tb.Skip("skipped: " + want)
}
