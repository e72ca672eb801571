package funchost

import (
	"context"
	"errors"
	"fmt"
)

// unhandled ends the host because of an unhandled error.
func (h *Host) unhandled(err error) {
	const text = "An unhandled exception has occurred. Host is shutting down."
	select {
	case h.broken <- fmt.Errorf("%s %w", text, err):
		h.console.fail("%s %v", text, err)
	default: // it ends already
	}
}

// windDown accepts no more requests and messages, and waits for those in progress within the host's time limit.
func (h *Host) windDown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, windDownLimit)
	defer cancel()
	h.stopPolling()
	_ = h.server.Shutdown(ctx) // requests still in progress get 500
	select {
	case <-h.idle:
	case <-ctx.Done():
	}
}

// drain waits until the requests in progress are answered, disconnects clients that do not read, and closes the
// server.
func (h *Host) drain(ctx context.Context) {
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if h.server.Shutdown(ctx) != nil {
		_ = h.server.Close() // its error concerns the listener, which Shutdown closed
	}
	h.inFlight.Wait()
}

// enter counts a request, unless the host is stopping.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return false
	}
	h.inFlight.Add(1)
	return true
}

// Shutdown stops the host as SIGTERM stops the real one: it accepts no new requests and messages, waits for those in
// progress until ctx ends, and then kills the handler. It returns ctx's error if the time was too short.
func (h *Host) Shutdown(ctx context.Context) error {
	h.stopPolling()
	err := h.server.Shutdown(ctx)
	select {
	case <-h.idle:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	return errors.Join(err, h.Close())
}

// Close stops the host at once: it kills the handler, requests in progress get 500, and messages in progress stay in
// their queue, invisible for up to ten minutes. It returns when the handler's process is gone, with the error of Err.
// It may be called more than once.
func (h *Host) Close() error {
	h.end()
	<-h.done
	return h.err
}
