// Package must is for calls in tests that have to succeed.
package must

import "testing"

// Get returns a function that returns its first argument, or ends the test for the second.
func Get[T any](tb testing.TB) func(T, error) T {
	tb.Helper()
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
