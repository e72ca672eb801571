// Package freeport finds ports for programs that get their port as a parameter.
package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
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

// Check returns an error if a port of 127.0.0.1 is not free.
func Check(ctx context.Context, port int) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}
