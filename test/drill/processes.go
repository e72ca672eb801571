package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/outbox"
	"userrelay/local/freeport"
	"userrelay/local/funchost"
	"userrelay/test/child"
)

const (
	restartPause  = 2 * time.Second // the shortest time in which the platform restarts a host
	shutdownLimit = 15 * time.Second
	queueTry      = 5 * time.Second // for a request to the queue
)

// hosts is a Functions host that is restarted when it gives up its handler, as the platform does.
type hosts struct {
	config funchost.Config
	cancel context.CancelFunc // ends the restarts
	ended  chan error
	host   atomic.Pointer[funchost.Host] // nil until the first is started
	gaveUp atomic.Int32                  // how often
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
	h.start(ctx)
	return h, nil
}

func (h *hosts) start(ctx context.Context) {
	ctx, h.cancel = context.WithCancel(context.WithoutCancel(ctx)) // stop ends it, in order
	h.ended = make(chan error, 1)
	go func() { h.ended <- h.keep(ctx) }()
}

// stop ends the host in order. The error may be of a start that failed.
func (h *hosts) stop() error {
	h.cancel()
	return <-h.ended
}

// renew ends the host in order and starts another one, without counted crashes.
func (h *hosts) renew(ctx context.Context) error {
	err := h.stop()
	h.start(ctx)
	return err
}

// keep starts the host, and again whenever it gives up, until ctx ends.
func (h *hosts) keep(ctx context.Context) error {
	for ctx.Err() == nil {
		host, err := funchost.Start(context.WithoutCancel(ctx), h.config)
		if err != nil {
			return fmt.Errorf("start the host: %w", err)
		}
		h.host.Store(host)
		select {
		case <-ctx.Done():
			return shutDown(ctx, host)
		case <-host.Done():
		}
		_ = host.Close() // why it ended is known: its handler was killed too often
		h.gaveUp.Add(1)
		_ = pause(ctx, restartPause)
	}
	return nil
}

// shutDown ends a host in order, even when ctx has ended.
func shutDown(ctx context.Context, host *funchost.Host) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	err := host.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // messages that are held back while Kafka is away
	}
	return err
}

// pid returns the handler's process id, or 0 while none runs.
func (h *hosts) pid() int {
	if host := h.host.Load(); host != nil {
		return host.HandlerPID()
	}
	return 0
}

// url returns the address of a function, which is the same for every host.
func (h *hosts) url(function string) string { return "http://" + h.config.Addr + "/api/" + function }

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

// queue is the stand-in for the Storage queue in a separate process, which keeps its folder and port after a restart,
// with the drill's own clients.
type queue struct {
	program, addr, dir string
	output             io.Writer // of the process
	process            *child.Process
	connection         string // connection string
	messages, poison   *azqueue.QueueClient
}

// startQueue starts the process. The caller must kill it.
func startQueue(ctx context.Context, r *rig) (*queue, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	q := &queue{program: r.program("queue"), addr: addr, dir: filepath.Join(r.dir, "outbox"), output: r.output}
	if err := q.start(); err != nil {
		return nil, err
	}
	if q.messages, err = q.client(outbox.QueueName); err == nil {
		q.poison, err = q.client(outbox.QueueName + "-poison")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the clients of the queues: %w", err), q.process.Kill())
	}
	return q, nil
}

func (q *queue) start() (err error) {
	q.process, err = child.Start(child.Spec{Program: q.program, Args: []string{"-addr", q.addr, "-dir", q.dir}, Output: true, Stderr: q.output})
	if err != nil {
		return err
	}
	if q.connection, err = q.process.Line(); err != nil {
		return errors.Join(err, q.process.Kill())
	}
	return nil
}

func (q *queue) client(name string) (*azqueue.QueueClient, error) {
	return azqueue.NewQueueClientFromConnectionString(q.connection, name, &azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Retry: policy.RetryOptions{TryTimeout: queueTry},
	}})
}

// ready restarts the process if it was killed, continues it if it was halted, and makes the queues, empty.
func (q *queue) ready(ctx context.Context) error {
	again := q.process.Resume
	if q.process.Gone() != nil {
		again = q.start
	}
	if err := again(); err != nil {
		return err
	}
	for _, client := range []*azqueue.QueueClient{q.messages, q.poison} {
		_, err := client.Create(ctx, nil)
		if err == nil {
			_, err = client.ClearMessages(ctx, nil)
		}
		if err != nil {
			return fmt.Errorf("make the queues: %w", err)
		}
	}
	return nil
}

// count returns the number of messages in a queue, including invisible ones.
func count(ctx context.Context, client *azqueue.QueueClient) (int, error) {
	p, err := client.GetProperties(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("ask for the number of messages: %w", err)
	}
	return int(*p.ApproximateMessagesCount), nil
}

// freeAddr returns a free address on loopback, which later processes can use as well.
func freeAddr(ctx context.Context) (string, error) {
	port, err := freeport.Find(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
