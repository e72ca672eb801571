package insights_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
)

func withItems(next slog.Handler, s insights.Sink) slog.Handler {
	return insights.WithItems(next, insights.NewEncoder(testNode()), s)
}

func TestLogLevels(t *testing.T) {
	t.Parallel()
	const none = contracts.SeverityLevel(-1)
	for level, want := range map[slog.Level]contracts.SeverityLevel{
		slog.LevelDebug: none, slog.LevelInfo: none, slog.LevelWarn - 1: none,
		slog.LevelWarn: contracts.Warning, slog.LevelWarn + 3: contracts.Warning,
		slog.LevelError: contracts.Error, slog.LevelError + 3: contracts.Error,
		slog.LevelError + 4: contracts.Critical, 100: contracts.Critical,
	} {
		sink := &itemSink{}
		slog.New(withItems(slog.DiscardHandler, sink)).Log(invokedContext(t), level, "message")
		got := sink.told(t)
		if want == none && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Severity != want || got[0].Text != "message" ||
			got[0].Tags[contracts.OperationId] != "0af7651916cd43dd8448eb211c80319c" || got[0].Properties["InvocationId"] != "6b1a" {
			t.Errorf("%v: %+v", level, got)
		}
	}
}

type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

// TestLogAttributes has names that may become properties, and names that may not. Two attributes with the same name
// become one property, the last: some readers refuse JSON with duplicate names.
func TestLogAttributes(t *testing.T) {
	t.Parallel()
	sink := &itemSink{}
	log := slog.New(withItems(slog.DiscardHandler, sink)).With("topic", "user-events", "password", private)
	derived := log.WithGroup("kafka").With("partition", 3).WithGroup("").WithGroup("at")
	derived.Warn("message", "status", 503, "email", private, "value", valuer{slog.StringValue(private)},
		"error", fmt.Errorf("%s: %w", private, &delivery.Error{Class: delivery.Throttled, Err: errors.New(private)}),
		slog.Group("more", "code", true, "token", private), slog.Group("", "attempt", 2),
		"queue", valuer{slog.GroupValue(slog.String("event", "e"), slog.String("user", private))})
	log.Error("message", "cause", io.EOF)
	log.With("code", 1, "event", "x").
		WarnContext(invokedContext(t), "m", "code", 2, "error", io.EOF, "errorClass", "throttled", "InvocationId", "another", "event", "y")

	want := []map[string]string{
		{
			"event": "log", "topic": "user-events", "kafka.partition": "3", "kafka.at.status": "503", "kafka.at.errorClass": "throttled",
			"kafka.at.more.code": "true", "kafka.at.attempt": "2", "kafka.at.queue.event": "e",
		},
		{"event": "log", "topic": "user-events", "errorClass": "fatal"},
		{"event": "y", "topic": "user-events", "code": "2", "errorClass": "throttled", "InvocationId": "6b1a"},
	}
	var got []map[string]string
	for _, item := range sink.told(t) { // which refuses two members of a name
		got = append(got, item.Properties)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
}

// failing is a handler that cannot write.
type failing struct{ slog.Handler }

func (failing) Handle(context.Context, slog.Record) error { return io.ErrClosedPipe }

// TestConsoleLegIsUntouched: the next handler gets the same calls, and its errors are returned, as without items.
func TestConsoleLegIsUntouched(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return withItems(slog.NewJSONHandler(&out, nil), &itemSink{})
	}, func(t *testing.T) (line map[string]any) {
		t.Helper()
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		return line
	})

	out.Reset()
	sink := &itemSink{}
	record := slog.NewRecord(time.Now(), slog.LevelError, "message", 0)
	if err := withItems(failing{slog.DiscardHandler}, sink).Handle(t.Context(), record); err != nil {
		t.Errorf("a handler that is not enabled was asked: %v", err)
	}
	if err := withItems(failing{slog.NewTextHandler(&out, nil)}, sink).Handle(t.Context(), record); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the console's error: %v", err)
	}
	out.Reset()
	quiet := slog.New(withItems(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}), sink))
	quiet.Info("info")
	quiet.Warn("warn")
	if out.Len() != 0 || len(sink.told(t)) != 3 {
		t.Errorf("%s, %d items", &out, len(sink.told(t)))
	}
}

// TestOwnDiagnosticsMakeNoItems has a sender without an endpoint that gets, by mistake, the log whose records become items.
func TestOwnDiagnosticsMakeNoItems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		sink := &itemSink{}
		s := ingest.New(ingest.Config{Log: slog.New(withItems(slog.NewTextHandler(&out, nil), sink))})
		s.Track([]byte("m"))
		<-time.After(30 * time.Second)
		s.Close(time.Second)
		if len(sink.lines) > 0 || strings.Count(out.String(), "level=WARN") != 2 {
			t.Errorf("%q, console: %s", sink.lines, &out)
		}
	})
}
