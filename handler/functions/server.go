package functions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server timeouts. The host should be the only client; they protect against others.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second  // header and body
	writeTimeout      = 20 * time.Second  // from the end of the header: the body, and 4 s of delivery
	drainWriteTimeout = 5 * time.Minute   // of the queue trigger, which waits for Kafka; the host's functionTimeout
	idleTimeout       = 150 * time.Second // the host keeps connections of its pool for up to 2 minutes
	maxHeader         = 64 << 10          // bytes; the host's own limit is 32 KiB
)

// Serve answers requests on the listener until ctx ends, then refuses new ones and waits for those in progress, at most
// drain long. It closes the listener.
func Serve(ctx context.Context, l net.Listener, h *Handler, log *slog.Logger, drain time.Duration) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// At shutdown the queue trigger's message is returned to the queue at once; a registration has its own time
		// limits.
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	h.ShutDown()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(stop)
	if err != nil {
		err = errors.Join(fmt.Errorf("drain: %w", err), server.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
