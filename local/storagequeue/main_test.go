package storagequeue_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain turns this binary into a server that can be killed, if a test has started it as such.
func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVar); dir != "" { //nolint:forbidigo // this is the main function of the server too
		os.Exit(serve(dir))
	}
	goleak.VerifyTestMain(m)
}
