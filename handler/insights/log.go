package insights

import (
	"context"
	"log/slog"
	"slices"

	"userrelay/handler/delivery"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/trace"
)

// WithItems returns a handler that passes every record to next, and turns those of level Warn and above into an item:
// a trace with the operation of the context. The item has the constant message, and only attributes that never hold
// personal data or secrets (see known); the console gets all.
func WithItems(next slog.Handler, encoder *Encoder, sink Sink) slog.Handler {
	return &logHandler{next: next, encoder: encoder, sink: sink, attrs: []property{{"event", "log"}}}
}

type logHandler struct {
	next    slog.Handler
	encoder *Encoder
	sink    Sink
	prefix  string     // the open groups, as a prefix of keys
	attrs   []property // of WithAttrs
}

// Enabled says whether items or next need records of this level.
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || h.next.Enabled(ctx, l)
}

// Handle turns the record into an item and passes it to the next handler, whose error it returns.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && !ingest.IsOwn(ctx) {
		h.track(ctx, r)
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r) //nolint:wrapcheck // a handler adds nothing of its own
}

func (h *logHandler) track(ctx context.Context, r slog.Record) {
	p := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		p = appendAttr(p, h.prefix, a)
		return true
	})
	h.encoder.send(h.sink, &item{at: r.Time, operation: trace.FromContext(ctx), level: r.Level, text: r.Message, more: p})
}

// WithAttrs returns a handler that adds the attributes to each record.
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

// appendAttr appends an attribute that items may have, or each one of a group. Of an error it appends the class only.
func appendAttr(p []property, prefix string, a slog.Attr) []property {
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
		return set(p, prefix+"errorClass", string(delivery.ClassOf(err)))
	}
	if known(a.Key) {
		return set(p, prefix+a.Key, v.String())
	}
	return p
}

// set sets a property. The last value of a name counts.
func set(p []property, key, value string) []property {
	for i := range p {
		if p[i].key == key {
			p[i].value = value
			return p
		}
	}
	return append(p, property{key, value})
}

// known says whether attributes of this name may become properties of an item: the program's own log lines use these
// names for data that is neither secret nor personal.
func known(key string) bool {
	switch key {
	case "address", "attempt", "code", "errorClass", "event", "eventId", "offset", "partition",
		"queue", "setting", "status", "topic", "version":
		return true
	}
	return false
}
