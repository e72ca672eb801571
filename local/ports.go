package main

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"userrelay/local/freeport"
)

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// taken says whether the port is in use. On some systems listening on 127.0.0.1 succeeds although another process
// listens on all addresses.
func taken(ctx context.Context, port int) bool {
	if freeport.Check(ctx, port) != nil {
		return true
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp4", address(port))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// portFor returns the port that the user chose, or the default port, or the next free one, which it reports. It
// returns 0 if all ports should be free ones; 0 takes any.
func (s *stack) portFor(ctx context.Context, what string, port int) int {
	const tries = 100
	switch {
	case slices.Contains(s.given, port):
		return port
	case s.port == 0:
		return 0
	}
	for next := port; next < port+tries; next++ {
		if s.used[next] || slices.Contains(s.given, next) || taken(ctx, next) {
			continue
		}
		if next != port {
			s.say("Port %d is taken: %s has %d instead.", port, what, next)
		}
		s.used[next] = true
		return next
	}
	return 0
}
