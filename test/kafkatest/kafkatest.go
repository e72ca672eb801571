// Package kafkatest gives a test a real Apache Kafka.
package kafkatest

import (
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"userrelay/local/realkafka"
	"userrelay/test/skip"
)

// Start starts a cluster from Home that ends with the test. The log of a failed test has the end of the brokers' logs.
func Start(tb testing.TB, opts realkafka.Options) *realkafka.Cluster {
	tb.Helper()
	opts.Home = Home(tb)
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

// Home returns KAFKA_HOME. If it is not set, or there is no Java, the test is skipped, or fails if CI is set.
func Home(tb testing.TB) string {
	tb.Helper()
	home := os.Getenv("KAFKA_HOME") //nolint:forbidigo // a test has no main to read settings in
	if _, err := exec.LookPath("java"); home == "" || err != nil {
		skip.For(tb, "needs Java 17 and KAFKA_HOME; see CONTRIBUTING.md or `make test-kafka`")
	}
	return home
}
