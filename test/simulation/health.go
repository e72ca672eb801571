package simulation

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	healthEvery = 7 * time.Second
	// A check takes 2 s at most. A request during a check may have to wait for it and for the next one.
	healthWithin = 4*time.Second + 20*time.Millisecond
)

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
			for {
				select {
				case <-time.After(healthEvery + w.jitter(h.name(), "health")):
				case <-ctx.Done():
					return
				}
				switch a := h.health(ctx); {
				case a.status != 0 && a.status != http.StatusOK && a.status != http.StatusServiceUnavailable:
					w.problem("STRANGE: %s answered %d when it was asked for its health", h.name(), a.status)
				case a.took > healthWithin:
					w.problem("TOO LATE: %s told its health after %v", h.name(), a.took)
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
