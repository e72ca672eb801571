// Package console writes log records to the streams that the Functions host reads.
//
// The host logs each line on stdout as Information. It logs each line on stderr as an Error, or as a Warning if the
// line contains "warn" (Azure/azure-functions-host, WorkerProcess.cs). So records below Warn go to stdout, the others
// to stderr, each as one line; both forms write the level of a warning as WARN.
package console

import (
	"context"
	"io"
	"log/slog"
)

// Options are the format of the lines.
type Options struct {
	Level slog.Level
	// JSON makes each line a JSON object; otherwise lines are key=value text.
	JSON bool
}

// New returns a logger on the two streams.
func New(stdout, stderr io.Writer, o Options) *slog.Logger {
	return slog.New(&handler{low: stream(stdout, o), high: stream(stderr, o)})
}

func stream(w io.Writer, o Options) slog.Handler {
	opts := &slog.HandlerOptions{Level: o.Level}
	if o.JSON {
		return slog.NewJSONHandler(w, opts)
	}
	opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{} // func puts the time before every line
		}
		return a
	}
	return slog.NewTextHandler(w, opts)
}

// handler splits records by level.
type handler struct{ low, high slog.Handler }

func (h *handler) at(l slog.Level) slog.Handler {
	if l < slog.LevelWarn {
		return h.low
	}
	return h.high
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.at(l).Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	return h.at(r.Level).Handle(ctx, r)
}

func (h *handler) WithAttrs(as []slog.Attr) slog.Handler {
	return &handler{h.low.WithAttrs(as), h.high.WithAttrs(as)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.low.WithGroup(name), h.high.WithGroup(name)}
}
