package funchost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Kestrel's limits, in bytes except the last.
const (
	maxRequestLine = 8 << 10
	maxHeaders     = 32 << 10
	maxHeaderCount = 100
)

// Reasons for failed invocations that are not the handler's.
var (
	errTooLarge   = errors.New("the body exceeds the limit")
	errNotASCII   = errors.New("a header has characters beyond ASCII")
	errAborted    = errors.New("the answer broke off")
	errClientGone = errors.New("the client is gone")
	errStopping   = errors.New("the host is stopping")
)

// serve handles every request: the host's own pages and refusals, then routing, keys, invocation.
func (h *Host) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Kestrel")
	if h.insights {
		w.Header().Set("Request-Context", "appId=")
	}
	if !h.enter() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "Function host is not running.")
		return
	}
	defer h.inFlight.Done()
	if status := refusal(r); status != 0 {
		refuse(w, status)
		return
	}
	switch strings.ToLower(strings.TrimSuffix(r.URL.Path, "/")) {
	case "":
		h.homepage(w)
		return
	case "/admin/host/ping":
		h.ping(w, r)
		return
	}
	if h.observe != nil {
		x, again, tell := h.watch(w, r)
		defer tell()
		w, r = x, again
	}
	fn := match(h.app.http, r.Method, r.URL)
	switch {
	case fn == nil:
		refuse(w, http.StatusNotFound)
	case !h.guard.allows(fn, r):
		refuse(w, http.StatusUnauthorized)
	default:
		h.invoke(w, r, fn)
	}
}

// refuse answers a refused request as the host does: without a body.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// refusal returns the status with which Kestrel itself refuses the request, or 0 if it does not.
func refusal(r *http.Request) int {
	if len(r.Method)+len(r.RequestURI)+len(r.Proto)+len("  \r\n") > maxRequestLine {
		return http.StatusRequestURITooLong
	}
	size, count := len("Host: \r\n")+len(r.Host), 1
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
			count++
			if !utf8.ValidString(value) {
				return http.StatusBadRequest
			}
		}
	}
	if size > maxHeaders || count > maxHeaderCount {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	return 0
}

func (h *Host) homepage(w http.ResponseWriter) {
	if h.app.noHomepage {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "A stand-in of the Azure Functions host (v4) is running here. It is not Microsoft's.\n")
}

// ping answers the platform's liveness check. Only the health check reaches the handler, and its answer makes no
// difference.
func (h *Host) ping(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("checkHealth") == "1" {
		ctx, cancel := h.bound(r.Context())
		defer cancel()
		_ = h.worker.ping(ctx)
	}
	refuse(w, http.StatusOK)
}

// invoke runs a function and answers the client.
func (h *Host) invoke(w http.ResponseWriter, r *http.Request, fn *function) {
	op := newOperation(fn.name, "This function was programmatically called via the host APIs.", r.Header.Get("Traceparent"))
	if x, ok := w.(*watched); ok {
		x.ran(op)
	}
	op.method, op.path, op.url = r.Method, r.URL.Path, "http://"+r.Host+r.URL.EscapedPath()
	h.executing(op)
	a, err := h.call(w, r, op)
	h.executed(op, err)
	switch {
	case errors.Is(err, errAborted), errors.Is(err, errClientGone):
		panic(http.ErrAbortHandler) // drops the client's connection
	case err != nil:
		refuse(w, http.StatusInternalServerError)
	case a != nil:
		a.write(w)
	}
}

// say reports a run on the console and in Application Insights.
func (h *Host) say(op *operation, text string) {
	h.console.log(categoryOf(op.function), information, "%s", text)
	h.rows.message(op, information, text)
}

func (h *Host) executing(op *operation) {
	h.say(op, fmt.Sprintf("Executing 'Functions.%s' (Reason='%s', Id=%s)", op.function, op.trigger, op.id))
}

// executed reports the end of an invocation.
func (h *Host) executed(op *operation, err error) {
	outcome, at := "Succeeded", information
	switch {
	case errors.Is(err, errClientGone):
		h.say(op, "The client disconnected while the function was processing the request.")
		err = nil
	case err != nil:
		h.console.fail("Exception while executing function: Functions.%s. %v", op.function, err)
		outcome, at = "Failed", failure
	}
	text := fmt.Sprintf("Executed 'Functions.%s' (%s, Id=%s, Duration=%dms)", op.function, outcome, op.id, time.Since(op.start).Milliseconds())
	if h.console.levels.pass(categoryOf(op.function), at) {
		h.console.info("%s", text)
	}
	h.rows.message(op, at, text)
	h.rows.ended(op, err)
}

// calls passes a run's request to the handler and reports it.
func (h *Host) calls(op *operation) http.RoundTripper { return told{h.transport, h.rows, op} }

type told struct {
	http.RoundTripper
	rows *rows
	op   *operation
}

func (t told) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := t.RoundTripper.RoundTrip(req)
	if err == nil {
		t.op.status = resp.StatusCode
	}
	t.rows.called(t.op, req, start, t.op.status)
	return resp, err //nolint:wrapcheck // a RoundTripper passes on what the one below says
}

// call gives the handler the request. In proxy mode the answer went to the client when it returns without an error,
// in forward mode it is returned.
func (h *Host) call(w http.ResponseWriter, r *http.Request, op *operation) (a *answer, err error) {
	parent := r.Context()
	if !h.app.proxying {
		parent = context.WithoutCancel(parent) // forward mode does not notice that the client is gone
	}
	err = h.limited(parent, op, func(ctx context.Context) (err error) {
		switch {
		case !ascii(r.Header):
			err = errNotASCII
		case h.app.proxying:
			err = h.proxy(ctx, w, r, op)
		default:
			a, err = h.forward(ctx, r, op)
		}
		return err
	})
	return a, err
}

// limited waits for the handler and runs f within the time of one invocation. When that is up the handler is killed,
// whatever else it is doing.
func (h *Host) limited(parent context.Context, op *operation, f func(context.Context) error) error {
	ctx, cancel := h.bound(parent)
	defer cancel()
	l, err := h.worker.await(ctx)
	if err == nil {
		err = f(ctx)
	}
	if err != nil && errors.Is(context.Cause(ctx), errFunctionTimeout) {
		h.console.fail("Timeout value of %s exceeded by function 'Functions.%s' (Id: '%s'). Initiating cancellation.", h.app.timeout, op.function, op.id)
		l.kill(errFunctionTimeout)
	}
	return err
}

// bound limits ctx to the time of one invocation and to the host's life.
func (h *Host) bound(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	unbind := context.AfterFunc(h.life, func() { cancel(errStopping) })
	if h.app.timeout == 0 {
		return ctx, func() { unbind(); cancel(nil) }
	}
	timed, stop := context.WithTimeoutCause(ctx, h.app.timeout, fmt.Errorf("%w after %s", errFunctionTimeout, h.app.timeout))
	return timed, func() { stop(); unbind(); cancel(nil) }
}

func ascii(header http.Header) bool {
	for _, values := range header {
		for _, value := range values {
			if strings.ContainsFunc(value, func(c rune) bool { return c >= utf8.RuneSelf }) {
				return false
			}
		}
	}
	return true
}
