package wait_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/test/outcome"
	"userrelay/test/wait"
)

// run runs a step of a test that may end the test, and returns its message.
func run(t *testing.T, step func(tb testing.TB)) (said string, took time.Duration) {
	t.Helper()
	begin := time.Now()
	return outcome.Of(t, step).Failed, time.Since(begin)
}

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		said, took := run(t, func(tb testing.TB) {
			tb.Helper()
			wait.For(tb, "the minute", func() bool { return time.Since(begin) >= time.Minute })
		})
		if said != "" || took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("said %q after %v", said, took)
		}
		looks := 0
		said, took = run(t, func(tb testing.TB) {
			tb.Helper()
			wait.For(tb, "nothing", func() bool { looks++; return false })
		})
		if !strings.Contains(said, "in vain") || took != wait.Patience || looks < 100 {
			t.Errorf("said %q after %v and %d looks", said, took, looks)
		}
	})
}

func TestReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := make(chan int, 1)
		time.AfterFunc(time.Minute, func() { c <- 7 })
		if said, _ := run(t, func(tb testing.TB) {
			tb.Helper()
			if got := wait.Receive(tb, "a number", c); got != 7 {
				t.Errorf("got %d", got)
			}
		}); said != "" {
			t.Error(said)
		}
		if said, took := run(t, func(tb testing.TB) {
			tb.Helper()
			wait.Receive(tb, "another", c)
		}); said == "" || took != wait.Patience {
			t.Errorf("said %q after %v", said, took)
		}
	})
}

func TestLongEnough(t *testing.T) {
	t.Parallel()
	var limits []time.Duration
	if said, _ := run(t, func(tb testing.TB) {
		tb.Helper()
		wait.LongEnough(tb, "three seconds", time.Second, func(limit time.Duration) bool {
			limits = append(limits, limit)
			return limit >= 3*time.Second
		})
	}); said != "" || !slices.Equal(limits, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}) {
		t.Errorf("said %q after %v", said, limits)
	}
	if said, _ := run(t, func(tb testing.TB) {
		tb.Helper()
		wait.LongEnough(tb, "never", time.Second, func(time.Duration) bool { return false })
	}); !strings.Contains(said, "not even") {
		t.Errorf("said %q", said)
	}
}

func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx := wait.Context(t)
		<-ctx.Done()
		if took := time.Since(begin); took != wait.Patience || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("ended after %v: %v", took, ctx.Err())
		}
	})
}
