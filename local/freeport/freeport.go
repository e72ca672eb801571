// Package freeport finds ports for programs that are told theirs.
package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Find returns a port of 127.0.0.1 that nobody listens on, below those that systems give to outgoing connections and to
// listeners on port 0: one of those could be gone by the time the program listens.
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

// Check says why a port of 127.0.0.1 cannot be listened on, if so.
func Check(ctx context.Context, port int) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}
