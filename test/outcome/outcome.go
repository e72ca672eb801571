// Package outcome tells how a step of a test ended, for tests of helpers that may end the test that calls them.
package outcome

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// Outcome has the message of a step that skipped or failed its test. Both are empty if the step returned.
type Outcome struct{ Skipped, Failed string }

// Of runs a step and returns its outcome. Only Skip, Fatal and Fatalf of the step's test are recorded; the rest is tb's.
func Of(tb testing.TB, step func(testing.TB)) Outcome {
	tb.Helper()
	r := recording{TB: tb}
	var running sync.WaitGroup
	running.Go(func() { step(&r) })
	running.Wait()
	return r.outcome
}

// recording is a test that ends only the goroutine of its step.
type recording struct {
	testing.TB
	outcome Outcome
}

func (*recording) Helper() {}

func (r *recording) Skip(args ...any) {
	r.outcome.Skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recording) Fatal(args ...any) {
	r.outcome.Failed = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recording) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }
