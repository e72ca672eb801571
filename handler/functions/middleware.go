package functions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"userrelay/handler/trace"
)

// function is one entry of the handler.
type function struct {
	name    string
	methods []string // nil: any
	serve   func(ctx context.Context, w http.ResponseWriter, r *http.Request)
}

// serve runs a function within its invocation: method, trace context, panics.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, f function) {
	op := trace.Start(r.Header.Get("Traceparent"), strings.Join(r.Header.Values("Tracestate"), ","))
	op.InvocationID = invocationID(r.Header)
	op.Name = f.name
	ctx := trace.NewContext(r.Context(), op) // beside the request: a request with another context is a copy

	sent := newExchange(w, r)
	defer func() {
		if v := recover(); v != nil {
			h.recovered(ctx, sent, v)
		}
	}()

	if f.methods != nil && !slices.Contains(f.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(f.methods, ", "))
		problem{
			Status: http.StatusMethodNotAllowed, Type: "method-not-allowed",
			Detail: fmt.Sprintf("The method must be %s.", strings.Join(f.methods, " or ")),
		}.write(sent)
		return
	}
	f.serve(ctx, sent, r)
}

// recovered answers a request whose handling panicked.
func (h *Handler) recovered(ctx context.Context, w *exchange, value any) {
	if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(value)
	}
	h.observer.Panicked(ctx, value, debug.Stack())
	if w.begun {
		panic(http.ErrAbortHandler) // the answer is incomplete: cut the connection
	}
	problem{Status: http.StatusInternalServerError, Type: "internal", Detail: "An internal error occurred. It was recorded."}.write(w)
}

// invocationID returns the id that the host gave the invocation. The host does not remove a caller's header of that
// name; it appends its own id after a comma.
func invocationID(h http.Header) string {
	all := strings.Join(h["X-Azure-Functions-Invocationid"], ",") // the canonical form of the host's X-Azure-Functions-InvocationId
	id := strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])
	if len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return id
}
