package funchost

import (
	"context"
	"errors"
	"fmt"
)

// unhandled takes what nobody handled, which ends the host.
func (h *Host) unhandled(err error) {
	const text = "An unhandled exception has occurred. Host is shutting down."
	select {
	case h.broken <- fmt.Errorf("%s %w", text, err):
		h.console.fail("%s %v", text, err)
	default: // it ends already
	}
}

// windDown takes no more requests and messages, and waits for those under way as long as the host's own end may take.
func (h *Host) windDown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, windDownLimit)
	defer cancel()
	h.stopPolling()
	_ = h.server.Shutdown(ctx) // what is still under way gets 500
	select {
	case <-h.idle:
	case <-ctx.Done():
	}
}

// drain lets the requests under way get their answers, cuts off clients that do not read them, and closes
// the server.
func (h *Host) drain(ctx context.Context) {
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if h.server.Shutdown(ctx) != nil {
		_ = h.server.Close() // its error is of the listener, which Shutdown closed
	}
	h.inFlight.Wait()
}

// enter counts a request in, unless the host is stopping.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return false
	}
	h.inFlight.Add(1)
	return true
}

// Shutdown stops the host as SIGTERM stops the real one: no new requests and messages, those under way are finished
// for as long as ctx allows, and then the handler is killed. The error is ctx's if that was not enough.
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

// Close stops the host at once: the handler is killed, requests under way get 500, and messages under way stay in
// their queue, invisible for up to ten minutes. It returns when the handler's process is gone, with the error of Err.
// It may be called more than once.
func (h *Host) Close() error {
	h.end()
	<-h.done
	return h.err
}
