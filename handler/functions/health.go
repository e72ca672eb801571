package functions

import (
	"context"
	"net/http"
	"time"
)

const (
	healthEvery   = time.Second     // at most one check in this time
	healthTimeout = 2 * time.Second // for one check
)

// health answers whether Kafka can be reached. Details go to the log only; outsiders get one word.
type health struct {
	checker  Checker
	observer Observer

	checking chan struct{} // holds one during a check: concurrent requests share its result
	checked  time.Time
	err      error
	known    bool
}

func (h *health) serve(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
	status, word := http.StatusOK, "ok"
	if h.check(ctx) != nil {
		status, word = http.StatusServiceUnavailable, "degraded"
	}
	writeJSON(w, status, "application/json", struct {
		Status string `json:"status"`
	}{word})
}

func (h *health) check(ctx context.Context) error {
	select {
	case h.checking <- struct{}{}:
		defer func() { <-h.checking }()
	case <-ctx.Done():
		return ctx.Err() // the client has left
	}
	if h.known && time.Since(h.checked) < healthEvery {
		return h.err
	}
	check, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout) // the result is for others too
	defer cancel()
	err := h.checker.Check(check)
	switch {
	case err != nil && (h.err == nil || !h.known):
		h.observer.Unhealthy(ctx, err)
	case err == nil && h.err != nil:
		h.observer.Healthy(ctx)
	}
	h.err, h.known, h.checked = err, true, time.Now()
	return err
}
