package insights

import (
	"context"
	"log/slog"
	"slices"

	"userrelay/handler/delivery"
	"userrelay/handler/trace"
)

// WithItems returns a handler that hands every record to next, and makes an item of those from Warn on: a trace with
// the operation of the context. It may hold what a person wrote in the source, and of the attributes those that are
// known to hold neither personal data nor secrets (see known); the console has the others.
func WithItems(next slog.Handler, sink Sink) slog.Handler { return &logHandler{next: next, sink: sink} }

type logHandler struct {
	next   slog.Handler
	sink   Sink
	prefix string     // of keys, the groups that are open
	attrs  properties // of WithAttrs
}

// Enabled says whether either takes records of this level.
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || h.next.Enabled(ctx, l)
}

// Handle makes an item of the record and hands it on. The error is the next handler's.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && !isOwnDiagnostics(ctx) {
		h.track(ctx, r)
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r) //nolint:wrapcheck // a handler adds nothing of its own
}

func (h *logHandler) track(ctx context.Context, r slog.Record) {
	p := properties{{"event", "log"}}
	for _, a := range h.attrs {
		p = p.set(a.key, a.value)
	}
	r.Attrs(func(a slog.Attr) bool {
		p = appendAttr(p, h.prefix, a)
		return true
	})
	h.sink.Track(&record{at: r.Time, operation: trace.FromContext(ctx), text: r.Message, level: r.Level, properties: p})
}

// WithAttrs returns a handler whose records have the attributes, too.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next = h.next.WithAttrs(attrs)
	with.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		with.attrs = appendAttr(with.attrs, h.prefix, a)
	}
	return &with
}

// WithGroup returns a handler that puts attributes into the group.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.next = h.next.WithGroup(name)
	with.prefix += name + "."
	return &with
}

// appendAttr appends an attribute that may leave the console; a group's each. Of an error it is the class alone.
func appendAttr(p properties, prefix string, a slog.Attr) properties {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			p = appendAttr(p, prefix, member)
		}
		return p
	}
	if err, ok := v.Any().(error); ok {
		return p.set(prefix+"errorClass", string(delivery.ClassOf(err)))
	}
	if known(a.Key) {
		return p.set(prefix+a.Key, v.String())
	}
	return p
}

// known says whether the attributes of this name may become properties of an item: names that the program's own log
// lines use for things which are no secret and nobody's.
func known(key string) bool {
	switch key {
	case "address", "attempt", "code", "errorClass", "event", "eventId", "offset", "partition",
		"queue", "setting", "status", "topic", "version":
		return true
	}
	return false
}

type ownDiagnosticsKey struct{}

// ownDiagnostics marks what the sender itself writes to the log. An item about items that cannot be sent would be one
// more of them.
func ownDiagnostics(ctx context.Context) context.Context {
	return context.WithValue(ctx, ownDiagnosticsKey{}, true)
}

func isOwnDiagnostics(ctx context.Context) bool { return ctx.Value(ownDiagnosticsKey{}) != nil }
