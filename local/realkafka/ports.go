package realkafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const host = "127.0.0.1"

// Ports are below the range that Linux, macOS and Windows use for outgoing connections (32768 or 49152 upwards). A
// port of that range can be taken by any connection while its broker is down, which prevents the broker's restart. A
// client that dials such a port on loopback can even connect to itself.
const (
	lowestPort  = 15_000
	highestPort = 30_000
)

// freePorts returns n ports that are free now. Another process may take them before the broker does.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var (
		lc    net.ListenConfig
		held  []net.Listener
		ports []int
	)
	defer func() {
		for _, l := range held {
			_ = l.Close() // nothing was ever accepted
		}
	}()
	for range 1_000 {
		if len(ports) == n {
			return ports, nil
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort) //nolint:gosec // G404: not a secret
		l, err := lc.Listen(ctx, "tcp4", address(port))
		if ctx.Err() != nil {
			return nil, fmt.Errorf("look for free ports: %w", ctx.Err())
		}
		if err != nil {
			continue
		}
		held, ports = append(held, l), append(ports, port)
	}
	return nil, errors.New("look for free ports: none in 1000 tries")
}

func address(port int) string {
	return net.JoinHostPort(host, strconv.Itoa(port))
}
