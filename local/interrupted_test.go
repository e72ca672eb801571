package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"
)

func TestInterrupted(t *testing.T) {
	t.Parallel()
	const never = time.Hour
	exited, other := fmt.Errorf("build: %w", &exec.ExitError{}), errors.New("listen: in use")
	for name, c := range map[string]struct {
		ends time.Duration // of the context
		err  error
		want bool
	}{
		"a child has ended":                  {0, exited, true},
		"a child has ended of Ctrl-C before": {500 * time.Millisecond, exited, true},
		"a child has failed":                 {never, exited, false},
		"the end itself":                     {0, fmt.Errorf("run: %w", context.Canceled), true},
		"several":                            {0, errors.Join(exited, context.Canceled), true},
		"another error":                      {0, other, false},
		"another error beside those of the children": {0, errors.Join(exited, other), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer time.AfterFunc(c.ends, cancel).Stop()
				defer cancel()
				if got := interrupted(ctx, c.err); got != c.want {
					t.Errorf("got %t, want %t", got, c.want)
				}
			})
		})
	}
}
