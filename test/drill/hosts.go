package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	readyLimit    = time.Minute
)

// hosts is a Functions host that is restarted when it gives up its handler, as the platform does.
type hosts struct {
	config funchost.Config

	mu       sync.Mutex
	host     *funchost.Host
	gaveUp   int // how often
	stopping chan struct{}
	ended    sync.WaitGroup
	err      error // of a start that failed
}

// startHosts starts a host for a program that replaces the handler. The caller must stop it.
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
	stopping := make(chan struct{})
	h.mu.Lock()
	h.host, h.stopping = host, stopping
	h.mu.Unlock()
	h.ended.Go(func() { h.keep(ctx, host, stopping) })
	return nil
}

// keep restarts the host when it ends by itself.
func (h *hosts) keep(ctx context.Context, host *funchost.Host, stopping chan struct{}) {
	for {
		select {
		case <-stopping:
			return
		case <-host.Done():
		}
		_ = host.Close() // why it ended is known: its handler was killed too often
		select {
		case <-stopping:
			return
		case <-time.After(restartPause):
		}
		next, err := funchost.Start(ctx, h.config)
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
	if h.stopping == nil {
		return nil // it could not be started again
	}
	close(h.stopping)
	h.stopping = nil
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

// pid returns the handler's process id, or 0 while none runs.
func (h *hosts) pid() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.host.HandlerPID()
}

// timesGivenUp returns how often a host ended because of its handler's crashes.
func (h *hosts) timesGivenUp() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gaveUp
}

// url returns the address of a function, which is the same for every host.
func (h *hosts) url(function string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.host.FunctionURL(function)
}

// kill kills the handler, after it has restarted from the last time.
func (h *hosts) kill(ctx context.Context) error {
	pid := 0
	err := poll(ctx, "wait for the handler to run", readyLimit, func(context.Context) (bool, error) {
		pid = h.pid()
		return pid != 0, nil
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

// healthy waits until the handler reaches Kafka.
func (h *hosts) healthy(ctx context.Context) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	return poll(ctx, "wait for the handler to reach Kafka", readyLimit, func(ctx context.Context) (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url("Health"), http.NoBody) //nolint:gosec // G704: the address is ours
		if err != nil {
			return false, err
		}
		resp, err := client.Do(req) //nolint:gosec // G704: the address is ours
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

// freeAddr returns a free address on loopback, which later hosts can use as well.
func freeAddr(ctx context.Context) (string, error) {
	port, err := freeport.Find(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
