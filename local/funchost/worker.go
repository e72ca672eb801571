package funchost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	probeInterval = 25 * time.Millisecond
	maxCrashes    = 3 // the host stops at this one
	crashWindow   = 30 * time.Minute
	exitRestart   = 200 // the exit code with which a handler requests a restart

	// Requests wait for a handler that (re)starts for holdFactor times the initialization timeout.
	holdFactor = maxCrashes + 1

	// failedLinger is how long a host answers 500 before it stops because its handler cannot be started. The real host
	// instead makes every request wait for two minutes, then stops.
	failedLinger = time.Second

	// outputDelay limits the wait for the rest of the handler's output after its end.
	outputDelay = 500 * time.Millisecond
)

// Reasons for the end of a launch, other than a handler that exited or could not be started.
var (
	errNotReady        = errors.New("the handler did not answer in time after its start")
	errNeverReady      = errors.New("requests waited too long for the handler to start")
	errFunctionTimeout = errors.New("function timeout")
)

// exitError is a handler that exited with a code other than 0, and the last errors it printed.
type exitError struct {
	path   string
	pid    int
	code   int
	stderr []string
}

func (e *exitError) Error() string {
	text := fmt.Sprintf("%s exited with code %d (0x%X)", e.path, e.code, e.code)
	if len(e.stderr) > 0 {
		text += ": " + strings.Join(e.stderr, ",")
	}
	return text
}

// startError is a handler that could not be started.
type startError struct{ err error }

func (e *startError) Error() string { return "start the handler: " + e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// worker keeps one handler process running, as the real host does.
type worker struct {
	command     func(ctx context.Context) *exec.Cmd
	url         string // of the handler, with a trailing slash
	initTimeout time.Duration
	errorsOnly  bool
	console     *console
	rows        *rows // get the handler's lines; nil: they do not
	transport   handlerTransport

	mu      sync.Mutex
	current *launch
}

// launch is one start of the handler and its result.
type launch struct {
	kill     context.CancelCauseFunc // ends the launch, and with it the process
	settled  chan struct{}           // closed when the handler accepts requests or could not be started
	err      error                   // why it could not be started; to be read after settled
	replaced chan struct{}           // closed when there is a newer launch
	pid      int                     // 0 when there is no process; guarded by worker.mu
}

// unstarted is the launch before the handler's first start; requests already wait for it.
func unstarted() *launch {
	return &launch{
		kill:     func(error) {},
		settled:  make(chan struct{}),
		replaced: make(chan struct{}),
	}
}

// supervise starts the handler, and restarts it whenever it crashes. It returns nil when ctx ends, and an error if the
// host must stop. No process is left when it returns.
func (w *worker) supervise(ctx context.Context) error {
	var crashes crashCounter
	for why := w.launch(ctx); ctx.Err() == nil; why = w.launch(ctx) {
		var unstartable *startError
		switch {
		case errors.As(why, &unstartable):
			w.console.fail("Failed to start Worker Channel. %v", why)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(failedLinger):
				return why
			}
		case errors.Is(why, errNeverReady):
			w.console.fail("Final functionDispatcher state: Initializing. Initialization timed out and host is shutting down")
			return why
		case w.report(why) && crashes.add(time.Now()) >= maxCrashes:
			const text = "Exceeded http worker restart retry count. Shutting down Functions Host"
			w.console.fail(text)
			return fmt.Errorf("%s: %w", text, why)
		}
	}
	return nil
}

// report prints why the handler must be restarted, and says whether that counts as a crash.
func (w *worker) report(why error) (counts bool) {
	var exited *exitError
	switch {
	case errors.Is(why, errFunctionTimeout):
		return false
	case !errors.As(why, &exited):
		w.console.fail("Failed to start http worker process. Initializing HttpWorker timed out.")
	case exited.code == exitRestart:
		w.console.info("Language Worker Process exited and needs to be restarted.")
		return false
	default:
		w.console.fail("Language Worker Process exited. Pid=%d.", exited.pid)
		w.console.fail("%v", exited)
	}
	return true
}

// launch runs the handler once and returns why that ended: an *exitError, a *startError, or the reason with which the
// launch was killed. If a handler exits with 0 the launch goes on: the host still considers it ready, and no request
// can connect.
func (w *worker) launch(ctx context.Context) error {
	ctx, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	l := &launch{kill: kill, settled: make(chan struct{}), replaced: make(chan struct{})}
	w.replace(l)

	cmd := w.command(ctx)
	out := &output{console: w.console, rows: w.rows, errorsOnly: w.errorsOnly}
	stdout, stderr := &lines{line: out.stdout}, &lines{line: out.stderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		l.err = &startError{err}
		close(l.settled)
		return l.err
	}
	w.setPID(l, cmd.Process.Pid)
	var probing sync.WaitGroup
	probing.Go(func() { w.probe(ctx, l) })
	_ = cmd.Wait() // how it ended is in ProcessState
	w.setPID(l, 0)
	stdout.flush()
	stderr.flush()
	if code := exitCode(cmd.ProcessState); code != 0 {
		kill(&exitError{cmd.Path, cmd.Process.Pid, code, out.errors}) // no effect where it was killed for another reason
	}
	<-ctx.Done()
	probing.Wait()
	w.transport.CloseIdleConnections()
	return context.Cause(ctx)
}

// probe requests / from the handler until it gets any answer, and then lets requests pass.
func (w *worker) probe(ctx context.Context, l *launch) {
	limit := time.NewTimer(w.initTimeout)
	defer limit.Stop()
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		// There is no time limit for a handler that accepts the connection and never answers.
		if err := w.ping(ctx); ctx.Err() == nil && !isDialError(err) {
			w.console.info("Worker process started and initialized.")
			close(l.settled)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			l.kill(errNotReady)
			return
		case <-tick.C:
		}
	}
}

// ping requests / from the handler, with no header except Host.
func (w *worker) ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, http.NoBody)
	if err != nil {
		return fmt.Errorf("build a ping: %w", err)
	}
	req.Header.Set("User-Agent", "") // Go's own would be sent otherwise
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ping the handler: %w", err)
	}
	return resp.Body.Close()
}

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// await returns the launch that accepts requests. It waits while the handler (re)starts, until ctx ends or the host
// gives up.
func (w *worker) await(ctx context.Context) (*launch, error) {
	limit := time.NewTimer(holdFactor * w.initTimeout)
	defer limit.Stop()
	for {
		w.mu.Lock()
		l := w.current
		w.mu.Unlock()
		select {
		case <-l.settled:
			return l, l.err
		case <-l.replaced:
		case <-limit.C:
			l.kill(errNeverReady)
			return l, errNeverReady
		case <-ctx.Done():
			return l, context.Cause(ctx)
		}
	}
}

func (w *worker) replace(l *launch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.current.replaced)
	w.current = l
}

func (w *worker) setPID(l *launch, pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.pid = pid
}

// pid returns the handler's process id, 0 when it does not run.
func (w *worker) pid() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current.pid
}

// crashCounter counts successive crashes, each within crashWindow of the previous one.
type crashCounter struct {
	n    int
	last time.Time
}

// add counts a crash and returns how many there are now.
func (c *crashCounter) add(now time.Time) int {
	if now.Sub(c.last) > crashWindow {
		c.n = 0
	}
	c.n++
	c.last = now
	return c.n
}
