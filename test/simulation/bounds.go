package simulation

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// Limits of a handler's resources, and of the answers about its health.
const (
	// Connections to brokers at any time: eight lanes for each of three, repeating lanes, and spare connections.
	maxConnections = 64
	// Goroutines that may be left after an idle time, in the whole run.
	spareGoroutines = 12
	// Longer than the idle timeout of connections.
	quiet = 200 * time.Second

	healthEvery = 7 * time.Second
	// A check takes 2 s at most. A request during a check may have to wait for it and for the next one.
	healthWithin = 4*time.Second + 20*time.Millisecond
)

// watch checks the handlers' resources every second, until stop is called.
func (w *world) watch() (stop func()) {
	ctx, end := context.WithCancel(w.life)
	var watching sync.WaitGroup
	watching.Go(func() {
		worst := map[string]int{}
		for sleep(ctx, time.Second) == nil {
			open := map[string]int{}
			for _, c := range w.net.open() {
				if c.kafka && !c.closed.Load() {
					open[c.from.name]++
				}
			}
			for name, n := range open {
				if n > maxConnections && n > worst[name] {
					worst[name] = n
					w.problem("TOO MUCH: %s has %d connections to brokers", name, n)
				}
			}
		}
	})
	return func() {
		end()
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
	for _, c := range w.net.open() {
		if c.kafka {
			n -= 3
		}
	}
	return n
}

// askHealth requests each handler's health now and then, as a load balancer does, until stop is called. It checks that
// the answers arrive in time and are valid.
func (w *world) askHealth() (stop func()) {
	if !w.plan.Setup.Health {
		return func() {}
	}
	ctx, end := context.WithCancel(w.life)
	var asking sync.WaitGroup
	for _, h := range w.hosts {
		asking.Go(func() {
			for sleep(ctx, healthEvery+w.jitter(h.name, "health")) == nil {
				switch a := h.health(ctx); {
				case a.status != 0 && a.status != http.StatusOK && a.status != http.StatusServiceUnavailable:
					w.problem("STRANGE: %s answered %d when it was asked for its health", h.name, a.status)
				case a.took > healthWithin:
					w.problem("TOO LATE: %s told its health after %v", h.name, a.took)
				}
			}
		})
	}
	return func() {
		end()
		asking.Wait()
	}
}

func (h *host) health(ctx context.Context) answer {
	return h.ask(ctx, http.MethodGet, "/api/Health", http.Header{}, nil)
}
