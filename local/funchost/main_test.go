package funchost_test

import (
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// TestMain turns this binary into the handler under test if the host has started it as such.
func TestMain(m *testing.M) {
	env := os.Environ() //nolint:forbidigo // this is the main function of the handler too
	if slices.Contains(env, probeVar+"=1") {
		os.Exit(runProbe(env))
	}
	goleak.VerifyTestMain(m)
}
