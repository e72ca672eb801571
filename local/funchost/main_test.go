package funchost_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain turns this binary into the handler under test where the host starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv(probeVar) != "" {
		os.Exit(runProbe())
	}
	goleak.VerifyTestMain(m)
}
