package realkafka

import (
	"cmp"
	"log/slog"
	"os"
	"os/exec"
	"testing"
)

// ForTest starts a cluster that ends with the test. Where opts.Home is empty it is that of HomeForTest, and where there is
// no Java the test is skipped likewise. A failed test's log holds the end of the brokers' logs.
func ForTest(tb testing.TB, opts Options) *Cluster {
	tb.Helper()
	if opts.Home == "" {
		opts.Home = HomeForTest(tb)
	}
	opts.Java = cmp.Or(opts.Java, "java")
	if _, err := exec.LookPath(opts.Java); err != nil {
		skip(tb, needsKafka)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.NewTextHandler(tb.Output(), nil))
	}
	c, err := Start(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(c.LogTail(20))
		}
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// HomeForTest returns KAFKA_HOME from the environment. Where it is not set the test is skipped, or fails when CI is set.
func HomeForTest(tb testing.TB) string {
	tb.Helper()
	home := os.Getenv("KAFKA_HOME") //nolint:forbidigo // a test has no main that could read it
	if home == "" {
		skip(tb, needsKafka)
	}
	return home
}

// KcatForTest skips the test where kcat is not installed, or fails it when CI is set.
func KcatForTest(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("kcat"); err != nil {
		skip(tb, needsKcat)
	}
}

const (
	needsKafka = "needs Java 17 and KAFKA_HOME; see CONTRIBUTING.md or `make test-kafka`"
	needsKcat  = "needs kcat; see CONTRIBUTING.md"
)

func skip(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("CI") != "" { //nolint:forbidigo // a test has no main that could read it
		tb.Fatal("CI is set and nothing may be skipped: " + why)
	}
	tb.Skip("skipped: " + why)
}
