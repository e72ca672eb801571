//go:build pgo

package main

import (
	"os"
	"testing"
)

// TestServe is the handler as a test, which can write a profile of its processor time: `make pgo` loads it.
func TestServe(t *testing.T) {
	vars := variablesOf(os.Environ()) //nolint:forbidigo // it stands in for main
	tuneMemory(vars)
	t.Logf("ended with %d", run(nil, vars, os.Stdout, os.Stderr))
}
