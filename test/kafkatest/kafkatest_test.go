package kafkatest_test

import (
	"testing"

	"userrelay/local/realkafka"
	"userrelay/test/kafkatest"
	"userrelay/test/outcome"
)

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
		name, ci string
		call     func(testing.TB)
		want     outcome.Outcome
	}{
		{name: "no home", call: start(realkafka.Options{}), want: outcome.Outcome{Skipped: "skipped: " + how}},
		{name: "no home, in CI", call: start(realkafka.Options{}), ci: "true", want: outcome.Outcome{Failed: inCI + how}},
		{name: "no java", call: start(realkafka.Options{Home: "x", Java: "no-such-java"}), want: outcome.Outcome{Skipped: "skipped: " + how}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("KAFKA_HOME", "")
			t.Setenv("CI", tt.ci)
			t.Setenv("PATH", "")
			if got := outcome.Of(t, tt.call); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
