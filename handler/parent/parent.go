// Package parent tells a process when its parent process is gone.
//
// Nothing else ends a child whose parent is killed: the Functions host leaves its handler running, on its port and
// with the old settings, and `go run` does not forward the SIGTERM that ends it.
package parent

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// ErrGone says that the parent process is gone.
var ErrGone = errors.New("the parent process is gone")

const every = time.Second

// Wait returns ErrGone when the parent process is gone, or the context's error when that ends first. A process whose
// parent is init from the beginning is a service and not an orphan.
func Wait(ctx context.Context) error {
	gone, release := watch()
	defer release()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if gone() {
				return ErrGone
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Context returns a context that ends when this process gets SIGINT or SIGTERM, or when its parent is gone. stop must
// be called.
func Context() (ctx context.Context, stop func()) {
	ctx, stopSignals := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		_ = Wait(ctx) // either way it is time to end
		cancel()
	})
	return ctx, func() {
		cancel()
		watcher.Wait()
		stopSignals()
	}
}
