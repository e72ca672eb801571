// Package kafkatest gives a test a real Apache Kafka.
//
// It reads KAFKA_HOME and CI from the environment, because a test has no main for that.
package kafkatest

import (
	"cmp"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"userrelay/local/realkafka"
)

// Start starts a cluster that ends with the test. If opts.Home is empty it uses Home. Without Java the test is skipped
// likewise. The log of a failed test has the end of the brokers' logs.
func Start(tb testing.TB, opts realkafka.Options) *realkafka.Cluster {
	tb.Helper()
	if opts.Home == "" {
		opts.Home = Home(tb)
	}
	opts.Java = cmp.Or(opts.Java, "java")
	if _, err := exec.LookPath(opts.Java); err != nil {
		skip(tb)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.NewTextHandler(tb.Output(), nil))
	}
	c, err := realkafka.Start(tb.Context(), opts)
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

// Home returns KAFKA_HOME. If it is not set the test is skipped, or fails if CI is set.
func Home(tb testing.TB) string {
	tb.Helper()
	home := os.Getenv("KAFKA_HOME") //nolint:forbidigo // see the package comment
	if home == "" {
		skip(tb)
	}
	return home
}

func skip(tb testing.TB) {
	tb.Helper()
	const why = "needs Java 17 and KAFKA_HOME; see CONTRIBUTING.md or `make test-kafka`"
	if os.Getenv("CI") != "" { //nolint:forbidigo // see the package comment
		tb.Fatal("CI is set and nothing may be skipped: " + why)
	}
	tb.Skip("skipped: " + why)
}
