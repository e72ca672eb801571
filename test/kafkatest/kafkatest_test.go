package kafkatest_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"userrelay/local/realkafka"
	"userrelay/test/kafkatest"
)

// outcome is how a test ended that Start was called for.
type outcome struct {
	testing.TB

	skipped, failed string
}

func (o *outcome) Helper() {}

func (o *outcome) Skip(args ...any) {
	o.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (o *outcome) Fatal(args ...any) {
	o.failed = fmt.Sprint(args...)
	runtime.Goexit()
}

func TestStartWithoutKafka(t *testing.T) {
	const (
		how  = "needs Java 17 and KAFKA_HOME; see CONTRIBUTING.md or `make test-kafka`"
		inCI = "CI is set and nothing may be skipped: "
	)
	start := func(o realkafka.Options) func(testing.TB) {
		return func(tb testing.TB) {
			tb.Helper()
			kafkatest.Start(tb, o)
		}
	}
	tests := []struct {
		name, ci        string
		call            func(testing.TB)
		skipped, failed string
	}{
		{name: "no home", call: start(realkafka.Options{}), skipped: "skipped: " + how},
		{name: "no home, in CI", call: start(realkafka.Options{}), ci: "true", failed: inCI + how},
		{name: "no java", call: start(realkafka.Options{Home: "x", Java: "no-such-java"}), skipped: "skipped: " + how},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("KAFKA_HOME", "")
			t.Setenv("CI", tt.ci)
			t.Setenv("PATH", "")
			var wg sync.WaitGroup
			got := &outcome{TB: t}
			wg.Go(func() { tt.call(got) })
			wg.Wait()
			if got.skipped != tt.skipped || got.failed != tt.failed {
				t.Errorf("skipped with %q, failed with %q; want %q and %q", got.skipped, got.failed, tt.skipped, tt.failed)
			}
		})
	}
}
