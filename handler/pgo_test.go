//go:build pgo

package main

import (
	"os"
	"testing"
)

// TestServe runs the handler as a test, which can write a CPU profile; `make pgo` puts load on it.
func TestServe(t *testing.T) {
	vars := variablesOf(os.Environ()) //nolint:forbidigo // it stands in for main
	tuneMemory(vars)
	t.Logf("ended with %d", run(nil, vars, os.Stdout, os.Stderr))
}
