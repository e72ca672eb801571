package skip_test

import (
	"testing"

	"userrelay/test/outcome"
	"userrelay/test/skip"
)

func TestFor(t *testing.T) {
	for ci, want := range map[string]outcome.Outcome{
		"":     {Skipped: "skipped: needs a duck"},
		"true": {Failed: "CI is set and nothing may be skipped: needs a duck"},
	} {
		t.Setenv("CI", ci)
		got := outcome.Of(t, func(tb testing.TB) {
			tb.Helper()
			skip.For(tb, "needs a duck")
		})
		if got != want {
			t.Errorf("CI=%s: got %+v, want %+v", ci, got, want)
		}
	}
}
