package skip_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"userrelay/test/skip"
)

// outcome is how a test ended that For was called for.
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

func TestFor(t *testing.T) {
	for ci, want := range map[string]outcome{
		"":     {skipped: "skipped: needs a duck"},
		"true": {failed: "CI is set and nothing may be skipped: needs a duck"},
	} {
		t.Setenv("CI", ci)
		got := outcome{}
		var calling sync.WaitGroup
		calling.Go(func() { skip.For(&got, "needs a duck") })
		calling.Wait()
		if got != want {
			t.Errorf("CI=%s: got %+v, want %+v", ci, got, want)
		}
	}
}
