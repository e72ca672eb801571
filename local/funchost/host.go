package funchost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"userrelay/local/freeport"
)

// Kestrel's timeouts and .NET's for kept connections.
const (
	readHeaderTimeout  = 30 * time.Second
	keepAliveTimeout   = 130 * time.Second
	handlerIdleTimeout = time.Minute

	// closeTimeout limits the wait for clients that do not read their answers when the host stops.
	closeTimeout = time.Second

	// windDownLimit is .NET's time limit for a host that ends because of an exception.
	windDownLimit = 30 * time.Second

	// frontHeaderBytes is large enough that refusal sees too large headers and answers with Kestrel's status.
	frontHeaderBytes = 2 * (maxRequestLine + maxHeaders)
)

// Host is a running stand-in.
type Host struct {
	url         string
	handlerAddr string
	insights    bool
	app         *app
	guard       guard
	console     *console
	rows        *rows
	transport   handlerTransport
	storage     *http.Transport // to the queue service
	observe     func(Exchange)  // nil: not observed
	worker      *worker
	server      *http.Server
	listeners   []*listener

	life        context.Context //nolint:containedctx // ends when the host stops: every invocation is bound to it
	end         context.CancelFunc
	stopPolling context.CancelFunc // stops receiving messages from queues
	idle        chan struct{}      // closed when no more are received and none is in progress
	broken      chan error         // holds an error that a listener did not handle
	done        chan struct{}
	err         error // why it stopped by itself; to be read after done

	mu       sync.Mutex
	stopping bool
	inFlight sync.WaitGroup // Add under mu, while not stopping
}

// Start hosts the app of cfg until ctx ends, Close is called, the handler crashes for the third time, or the listener
// of a queue meets an unhandled error, such as a storage account that refuses connections for 25 s. It returns when
// clients can connect; the handler may still be starting, and requests wait for it. The error names a wrong file or
// setting, or an address that is not available.
//
// The first lines on the console say that this is a stand-in, and what it does not do, unless cfg.Brief is set.
func Start(ctx context.Context, cfg Config) (*Host, error) {
	a, err := readApp(cfg)
	if err != nil {
		return nil, err
	}
	port, err := handlerPort(ctx, a.file.port)
	if err != nil {
		return nil, err
	}
	if cfg.Addr == "" {
		cfg.Addr = defaultAddr
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	h := newHost(cfg, a, port)
	h.url = "http://" + clientAddr(cfg.Addr, listener.Addr())
	life, end := context.WithCancel(ctx)
	h.life, h.end = life, end
	if !cfg.Brief {
		h.console.info("%s", banner)
	}
	for _, line := range a.ignored {
		h.console.print(warning, "%s", line)
	}
	if a.group != "" {
		h.console.info("Function group target is %s", a.group)
	}
	h.listenToQueues()
	if !cfg.Brief {
		h.console.raw(a.listing(h.url))
	}
	polling, stopPolling := context.WithCancel(life)
	h.stopPolling = stopPolling
	go h.run(life, polling, listener) // its owner is whoever waits for Done; Close does
	return h, nil
}

func newHost(cfg Config, a *app, port int) *Host {
	h := &Host{
		handlerAddr: net.JoinHostPort(loopback, strconv.Itoa(port)),
		insights:    cfg.Insights,
		observe:     cfg.Observe,
		app:         a,
		guard:       guard{keys: cfg.Keys, open: cfg.NoAuth},
		console:     newConsole(cfg, a.file.levels),
		rows:        newRows(a, cfg.Insights),
		idle:        make(chan struct{}),
		broken:      make(chan error, 1),
		done:        make(chan struct{}),
		storage: &http.Transport{
			MaxIdleConnsPerHost: a.file.queues.batchSize + a.file.queues.newBatchThreshold,
			IdleConnTimeout:     handlerIdleTimeout,
		},
		transport: newHandlerTransport(),
	}
	h.worker = &worker{
		command:     func(ctx context.Context) *exec.Cmd { return a.command(ctx, port) },
		url:         "http://" + h.handlerAddr + "/",
		initTimeout: a.file.initTimeout,
		errorsOnly:  a.file.stderrErrorsOnly,
		console:     h.console,
		transport:   h.transport,
		current:     unstarted(),
	}
	if cfg.ConsoleRows {
		h.worker.rows = h.rows
	}
	h.server = &http.Server{
		Handler:           http.HandlerFunc(h.serve),
		MaxHeaderBytes:    frontHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       keepAliveTimeout,
		ErrorLog:          slog.NewLogLogger(slog.NewTextHandler(&lines{line: func(s string) { h.console.fail("%s", s) }}, nil), slog.LevelError),
	}
	return h
}

// listenToQueues makes a listener for each function with a queue. A function whose queue cannot be determined is in
// error and does not run, as on the real host; the others run.
func (h *Host) listenToQueues() {
	var sound []queueFunction
	for _, fn := range h.app.queue {
		if fn.disabled || !h.app.inGroup(fn.name) {
			sound = append(sound, fn)
			continue
		}
		connection, err := fn.connection(h.app.env)
		var queue *storageQueue
		if err == nil {
			queue, err = newStorageQueue(fn, connection, h.storage)
		}
		if err != nil {
			h.console.fail("The '%s' function is in error: %v", fn.name, err)
			continue
		}
		sound = append(sound, fn)
		h.listeners = append(h.listeners, &listener{
			fn: fn, options: h.app.file.queues, queue: queue, console: h.console,
			invoke:    func(ctx context.Context, m message, body []byte) error { return h.runForMessage(ctx, fn, m, body) },
			unhandled: h.unhandled,
		})
	}
	h.app.queue = sound
}

// loopback is the only address at which the host contacts its handler.
const loopback = "127.0.0.1"

// handlerPort checks that the port from host.json can be listened on, or finds a free one.
func handlerPort(ctx context.Context, configured int) (int, error) {
	if configured == 0 {
		return freeport.Find(ctx)
	}
	if err := freeport.Check(ctx, configured); err != nil {
		return 0, fmt.Errorf("unable to bind to port %d for the handler (customHandler.port): %w", configured, err)
	}
	return configured, nil
}

// clientAddr returns the configured address with the actual port.
func clientAddr(configured string, listening net.Addr) string {
	host, _, _ := net.SplitHostPort(configured) // listening would have failed
	_, port, _ := net.SplitHostPort(listening.String())
	if host == "" {
		host = loopback
	}
	return net.JoinHostPort(host, port)
}

// run serves until the host's context ends or its handler is given up, and releases everything.
func (h *Host) run(life, polling context.Context, listener net.Listener) {
	defer close(h.done)
	defer h.end()
	defer h.stopPolling()
	group, ctx := errgroup.WithContext(life)
	group.Go(func() error { return h.worker.supervise(ctx) })
	group.Go(func() error {
		defer close(h.idle)
		var listening sync.WaitGroup
		for _, l := range h.listeners {
			listening.Go(func() { l.listen(polling, ctx) })
		}
		listening.Wait()
		return nil
	})
	group.Go(func() error {
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve clients: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		select {
		case err := <-h.broken:
			h.windDown(ctx)
			return err
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error {
		<-ctx.Done()
		h.end() // requests in progress end, held ones too
		h.drain(ctx)
		return nil
	})
	telling, told := context.WithCancel(context.WithoutCancel(life))
	var rows sync.WaitGroup
	rows.Go(func() { h.rows.run(telling) })
	h.err = group.Wait()
	told() // the last rows are sent
	rows.Wait()
	h.transport.CloseIdleConnections()
	h.storage.CloseIdleConnections()
}

// URL returns the host's address for clients, without a trailing slash.
func (h *Host) URL() string { return h.url }

// FunctionURL returns the address of an HTTP function for clients, without a key. It is empty if there is no such
// function.
func (h *Host) FunctionURL(name string) string {
	for _, f := range h.app.http {
		if strings.EqualFold(f.name, name) {
			return h.url + f.path
		}
	}
	return ""
}

// HandlerURL returns the handler's address, without a trailing slash. Requests to it are not observed.
func (h *Host) HandlerURL() string { return "http://" + h.handlerAddr }

// HandlerPID returns the process id of the handler, or 0 while none runs.
func (h *Host) HandlerPID() int { return h.worker.pid() }

// Done is closed when the host has stopped and the handler's process is gone.
func (h *Host) Done() <-chan struct{} { return h.done }

// Err returns, after Done is closed, why the host stopped by itself. It is nil if the host was stopped.
func (h *Host) Err() error {
	select {
	case <-h.done:
		return h.err
	default:
		return nil
	}
}
