// Package trace passes the context of one invocation through the program: W3C Trace Context
// (https://www.w3.org/TR/trace-context/) and the invocation id of the Functions host.
//
// Trace headers are parsed strictly. Invalid ones are ignored and never an error.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// Operation is the trace of an invocation, and the current span.
type Operation struct {
	TraceID      string // 32 lower-case hex digits, not all zero
	SpanID       string // 16 lower-case hex digits, not all zero; "" at the start of a trace that began here
	Flags        string // 2 lower-case hex digits
	State        string // the caller's tracestate, or empty
	InvocationID string // of the Functions host, or empty
	Name         string // of the function, "RegisterUser"
}

// Start returns the operation of a request: the one of its traceparent, or else a new trace. It uses tracestate only
// with a valid traceparent.
func Start(traceparent, tracestate string) Operation {
	op, ok := parse(traceparent)
	if !ok {
		return Operation{TraceID: random(16), Flags: "01"}
	}
	op.State = state(tracestate)
	return op
}

// Child returns a new child span of the operation, for work that others see with its own id.
func (o Operation) Child() Operation {
	o.SpanID = random(8)
	return o
}

// Traceparent returns the header for the next hop, whose parent is this span. It is empty for an operation without a
// span.
func (o Operation) Traceparent() string {
	if o.TraceID == "" || o.SpanID == "" {
		return ""
	}
	return "00-" + o.TraceID + "-" + o.SpanID + "-" + o.Flags
}

// parse reads a traceparent header. It reads an unknown version as version 00, because it must begin with the same
// fields (section 4.3 of the specification). It refuses the version ff.
func parse(h string) (Operation, bool) {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(h) < length || h[2] != '-' || h[35] != '-' || h[52] != '-' {
		return Operation{}, false
	}
	version, traceID, spanID, flags := h[:2], h[3:35], h[36:52], h[53:55]
	for _, field := range []string{version, traceID, spanID, flags} {
		if strings.Trim(field, "0123456789abcdef") != "" {
			return Operation{}, false
		}
	}
	switch {
	case version == "ff",
		version == "00" && len(h) != length,
		len(h) > length && h[length] != '-',
		strings.Trim(traceID, "0") == "",
		strings.Trim(spanID, "0") == "":
		return Operation{}, false
	}
	return Operation{TraceID: traceID, SpanID: spanID, Flags: known(flags)}, true
}

// known keeps the defined flags, sampled and random-trace-id. The others must be zero in the outgoing header (Trace
// Context Level 2, section 3.2.2.5.3).
func known(flags string) string {
	b, _ := hex.DecodeString(flags) // parse has seen that they are hex digits
	return hex.EncodeToString([]byte{b[0] & 0x03})
}

// state returns a tracestate that may be propagated: visible ASCII and spaces, at most 512 characters (section 3.3.1.5
// requires at least that many). It drops a longer or invalid one as a whole, as the specification allows.
func state(h string) string {
	if len(h) > 512 || strings.ContainsFunc(h, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return strings.TrimSpace(h)
}

func random(n int) string {
	b := make([]byte, n)
	for {
		_, _ = rand.Read(b) // never fails, see its documentation
		for _, c := range b {
			if c != 0 {
				return hex.EncodeToString(b)
			}
		}
	}
}

type contextKey struct{}

// NewContext returns a context that carries the operation.
func NewContext(ctx context.Context, o Operation) context.Context {
	return context.WithValue(ctx, contextKey{}, o)
}

// FromContext returns the operation of the context, or a new trace if it has none.
func FromContext(ctx context.Context) Operation {
	if o, ok := ctx.Value(contextKey{}).(Operation); ok {
		return o
	}
	return Start("", "")
}
