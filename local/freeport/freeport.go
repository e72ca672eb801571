// Package freeport finds ports for programs that get their port as a parameter.
package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// Find returns a free port of 127.0.0.1, below the range that systems use for outgoing connections and for listeners
// on port 0: a port of that range could be taken before the program listens.
func Find(ctx context.Context) (int, error) {
	const lowest, highest, tries = 15_000, 30_000, 100
	var last error
	for range tries {
		port := lowest + rand.IntN(highest-lowest) //nolint:gosec // G404: any port will do
		if last = Check(ctx, port); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port in %d tries: %w", tries, last)
}

// Check returns an error if a port of 127.0.0.1 is not free. When it returns nil, nothing accepts connections there: a
// client that waits for a program cannot mistake the check for it.
func Check(ctx context.Context, port int) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	return Refused(ctx, addr)
}

// Refused waits until nothing accepts connections at a loopback address whose listener has been closed. A process that
// was being started meanwhile has a copy of all sockets from its fork to its exec, and keeps the port open for so long.
// It fails only when ctx ends.
func Refused(ctx context.Context, addr string) error {
	const pause = time.Millisecond
	d := net.Dialer{Timeout: 100 * time.Millisecond} // Windows tries a refused connection several times
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		switch {
		case err == nil:
			_ = conn.Close() // nothing was written
		case ctx.Err() == nil:
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}
