package simulation

import (
	"runtime"
	"sync"
	"time"
)

// Limits of a handler's resources.
const (
	// Connections to brokers at any time: eight lanes for each of three, repeating lanes, and spare connections.
	maxConnections = 64
	// Goroutines that may be left after an idle time, in the whole run.
	spareGoroutines = 12
	// Longer than the idle timeout of connections.
	quiet = 200 * time.Second
)

// watch checks the handlers' resources every second, until stop is called.
func (w *world) watch() (stop func()) {
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		worst := map[string]int{}
		for {
			select {
			case <-time.After(time.Second):
			case <-done:
				return
			}
			open := map[string]int{}
			w.net.each(func(c *conn) {
				if l, ok := c.path.(*link); ok && !c.closed.Load() {
					open[l.name]++
				}
			})
			for name, n := range open {
				if n > maxConnections && n > worst[name] {
					worst[name] = n
					w.problem("TOO MUCH: %s has %d connections to brokers", name, n)
				}
			}
		}
	})
	return func() {
		close(done)
		watching.Wait()
	}
}

// rest waits until all idle resources are released, and checks whether more goroutines run than before.
func (w *world) rest(before int) {
	<-time.After(quiet)
	if now := w.goroutines(); now > before+spareGoroutines {
		w.problem("LEFT OVER: %d goroutines before, %d when all was quiet again", before, now)
	}
}

// goroutines returns the number of goroutines, without those of kfake for open connections, of which a handler keeps
// some.
func (w *world) goroutines() int {
	n := runtime.NumGoroutine()
	w.net.each(func(c *conn) {
		if _, ok := c.path.(*link); ok {
			n -= 3
		}
	})
	return n
}
