package simulation

import (
	"runtime"
	"sync"
	"time"
)

// Bounds of what a handler may hold.
const (
	// Connections to brokers at any time: eight lanes for each of three, those that repeat what is not answered, and spare ones.
	maxConnections = 64
	// Goroutines that may be left over when all has been quiet for a while, in all the run.
	spareGoroutines = 12
	// Longer than idle connections are kept.
	quiet = 200 * time.Second
)

// watch looks every second at what the handlers hold, until stop is called.
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

// rest waits until nothing is kept for a moment that may come, and looks whether more runs than before.
func (w *world) rest(before int) {
	<-time.After(quiet)
	if now := w.goroutines(); now > before+spareGoroutines {
		w.problem("LEFT OVER: %d goroutines before, %d when all was quiet again", before, now)
	}
}

// goroutines counts those that there are besides those of kfake for open connections: a handler keeps some of these.
func (w *world) goroutines() int {
	n := runtime.NumGoroutine()
	w.net.each(func(c *conn) {
		if _, ok := c.path.(*link); ok {
			n -= 3
		}
	})
	return n
}
