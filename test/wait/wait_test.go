package wait_test

import (
	"testing"
	"testing/synctest"
	"time"

	"userrelay/test/outcome"
	"userrelay/test/wait"
)

// TestInTime has what comes after a minute, and what never comes.
func TestInTime(t *testing.T) {
	for name, step := range map[string]func(tb testing.TB, comes <-chan int){
		"For": func(tb testing.TB, comes <-chan int) {
			tb.Helper()
			wait.For(tb, "it", func() bool { return len(comes) == 1 })
		},
		"Receive": func(tb testing.TB, comes <-chan int) {
			tb.Helper()
			wait.Receive(tb, "it", comes)
		},
		"LongEnough": func(tb testing.TB, comes <-chan int) {
			tb.Helper()
			wait.LongEnough(tb, "it", time.Second, func(limit time.Duration) bool {
				<-time.After(limit)
				return len(comes) == 1
			})
		},
	} {
		for _, comes := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				what := make(chan int, 1)
				if comes {
					time.AfterFunc(time.Minute, func() { what <- 7 })
				}
				begin := time.Now()
				failed := outcome.Of(t, func(tb testing.TB) {
					tb.Helper()
					step(tb, what)
				}).Failed
				took := time.Since(begin)
				if comes != (failed == "") || comes && (took < time.Minute || took > 2*time.Minute) || !comes && took < wait.Patience {
					t.Errorf("%s, comes %t: said %q after %v", name, comes, failed, took)
				}
			})
		}
	}
}
