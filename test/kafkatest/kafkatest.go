// Package kafkatest gives a test a real Apache Kafka.
package kafkatest

import (
	"cmp"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"userrelay/local/realkafka"
	"userrelay/test/skip"
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
		skip.For(tb, want)
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

const want = "needs Java 17 and KAFKA_HOME; see CONTRIBUTING.md or `make test-kafka`"

// Home returns KAFKA_HOME. If it is not set, or there is no Java, the test is skipped, or fails if CI is set.
func Home(tb testing.TB) string {
	tb.Helper()
	home := os.Getenv("KAFKA_HOME") //nolint:forbidigo // a test has no main to read settings in
	if _, err := exec.LookPath("java"); home == "" || err != nil {
		skip.For(tb, want)
	}
	return home
}
