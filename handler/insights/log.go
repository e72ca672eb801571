package insights

import (
	"context"
	"log/slog"
	"slices"

	"userrelay/handler/delivery"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/trace"
)

// WithItems returns a handler that hands every record to next, and makes an item of those from Warn on: a trace with
// the operation of the context. It may hold what a person wrote in the source, and of the attributes those that are
// known to hold neither personal data nor secrets (see known); the console has the others.
func WithItems(next slog.Handler, encoder *Encoder, sink Sink) slog.Handler {
	return &logHandler{next: next, encoder: encoder, sink: sink, attrs: []property{{"event", "log"}}}
}

type logHandler struct {
	next    slog.Handler
	encoder *Encoder
	sink    Sink
	prefix  string     // of keys, the groups that are open
	attrs   []property // of WithAttrs
}

// Enabled says whether either takes records of this level.
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || h.next.Enabled(ctx, l)
}

// Handle makes an item of the record and hands it on. The error is the next handler's.
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

// set gives a property a value, once: the last one counts, as in a log line that is read from its end.
func set(p []property, key, value string) []property {
	for i := range p {
		if p[i].key == key {
			p[i].value = value
			return p
		}
	}
	return append(p, property{key, value})
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
