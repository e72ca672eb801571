package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"userrelay/local/freeport"
	"userrelay/local/funchost"
)

const (
	restartPause  = 2 * time.Second // the shortest time in which the platform restarts a host
	shutdownLimit = 15 * time.Second
)

// hosts is a Functions host that is restarted when it gives up its handler, as the platform does.
type hosts struct {
	config funchost.Config
	cancel context.CancelFunc // ends the restarts
	ended  sync.WaitGroup

	mu     sync.Mutex
	host   *funchost.Host // nil: none could be started
	gaveUp int            // how often
	err    error          // of a start that failed
}

// startHosts starts a host for a program in the handler's place. The caller must stop it.
func startHosts(ctx context.Context, root, program string, env []string, console io.Writer) (*hosts, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	h := &hosts{config: funchost.Config{
		Dir: root, Addr: addr, NoAuth: true, Console: console,
		Env: append([]string{"AzureFunctionsJobHost__customHandler__description__defaultExecutablePath=" + program}, env...),
	}}
	return h, h.start(ctx)
}

func (h *hosts) start(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // stop ends it, in order
	host, err := funchost.Start(ctx, h.config)
	if err != nil {
		return fmt.Errorf("start the host: %w", err)
	}
	h.host = host
	restarts, cancel := context.WithCancel(ctx)
	h.cancel = cancel
	h.ended.Go(func() { h.keep(restarts, host) })
	return nil
}

// keep restarts the host when it ends by itself.
func (h *hosts) keep(ctx context.Context, host *funchost.Host) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-host.Done():
		}
		_ = host.Close() // why it ended is known: its handler was killed too often
		if pause(ctx, restartPause) != nil {
			return
		}
		next, err := funchost.Start(context.WithoutCancel(ctx), h.config)
		h.mu.Lock()
		h.gaveUp++
		if err != nil {
			h.err = err
			h.mu.Unlock()
			return
		}
		h.host, host = next, next
		h.mu.Unlock()
	}
}

// stop ends the host in order, even when ctx has ended.
func (h *hosts) stop(ctx context.Context) error {
	h.cancel()
	h.ended.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	err := h.host.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // messages that are held back while Kafka is away
	}
	return errors.Join(h.err, err)
}

// renew ends the host in order and starts another one, without counted crashes.
func (h *hosts) renew(ctx context.Context) error { return errors.Join(h.stop(ctx), h.start(ctx)) }

// current returns the host, and how often one has given up.
func (h *hosts) current() (host *funchost.Host, gaveUp int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.host, h.gaveUp
}

// pid returns the handler's process id, or 0 while none runs.
func (h *hosts) pid() int {
	host, _ := h.current()
	return host.HandlerPID()
}

// url returns the address of a function, which is the same for every host.
func (h *hosts) url(function string) string {
	host, _ := h.current()
	return host.FunctionURL(function)
}

// kill kills the handler, after it has restarted from the last time.
func (h *hosts) kill(ctx context.Context) error {
	pid := 0
	err := poll(ctx, "wait for the handler to run", func(context.Context) bool {
		pid = h.pid()
		return pid != 0
	})
	if err != nil {
		return err
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the handler: %w", err)
	}
	return nil
}

// freeAddr returns a free address on loopback, which later processes can use as well.
func freeAddr(ctx context.Context) (string, error) {
	port, err := freeport.Find(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
