package insights_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
)

func TestLogLevels(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]contracts.SeverityLevel{
		slog.LevelWarn: contracts.Warning, slog.LevelWarn + 3: contracts.Warning,
		slog.LevelError: contracts.Error, slog.LevelError + 3: contracts.Error,
		slog.LevelError + 4: contracts.Critical, 100: contracts.Critical,
	} {
		sink := &itemSink{}
		slog.New(insights.WithItems(slog.DiscardHandler, insights.NewEncoder(testNode()), sink)).Log(invokedContext(t), level, "message")
		got := sink.told(t)
		if len(got) != 1 || got[0].Severity != want || got[0].Text != "message" ||
			got[0].Tags[contracts.OperationId] != "0af7651916cd43dd8448eb211c80319c" || got[0].Properties["InvocationId"] != "6b1a" {
			t.Errorf("%v: %+v", level, got)
		}
	}
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn - 1} {
		sink := &itemSink{}
		slog.New(insights.WithItems(slog.DiscardHandler, insights.NewEncoder(testNode()), sink)).Log(t.Context(), level, "message")
		if got := sink.told(t); len(got) != 0 {
			t.Errorf("%v: %+v", level, got)
		}
	}
}

type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

// TestLogAttributes has names that may become properties, and names that may not.
func TestLogAttributes(t *testing.T) {
	t.Parallel()
	sink := &itemSink{}
	log := slog.New(insights.WithItems(slog.DiscardHandler, insights.NewEncoder(testNode()), sink)).With("topic", "user-events", "password", private)
	derived := log.WithGroup("kafka").With("partition", 3).WithGroup("").WithGroup("at")
	derived.Warn("message", "status", 503, "email", private, "value", valuer{slog.StringValue(private)},
		"error", fmt.Errorf("%s: %w", private, &delivery.Error{Class: delivery.Throttled, Err: errors.New(private)}),
		slog.Group("more", "code", true, "token", private), slog.Group("", "attempt", 2),
		"queue", valuer{slog.GroupValue(slog.String("event", "e"), slog.String("user", private))})
	log.Error("message", "cause", io.EOF)

	want := []map[string]string{
		{
			"event": "log", "topic": "user-events", "kafka.partition": "3", "kafka.at.status": "503", "kafka.at.errorClass": "throttled",
			"kafka.at.more.code": "true", "kafka.at.attempt": "2", "kafka.at.queue.event": "e",
		},
		{"event": "log", "topic": "user-events", "errorClass": "fatal"},
	}
	var got []map[string]string
	for _, item := range sink.told(t) {
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
	h := insights.WithItems(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}), insights.NewEncoder(testNode()), &itemSink{})
	err := slogtest.TestHandler(h, func() (all []map[string]any) {
		for line := range bytes.Lines(out.Bytes()) {
			var v map[string]any
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			all = append(all, v)
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}

	sink := &itemSink{}
	record := slog.NewRecord(time.Now(), slog.LevelError, "message", 0)
	if err := insights.WithItems(failing{slog.DiscardHandler}, insights.NewEncoder(testNode()), sink).Handle(t.Context(), record); err != nil || len(sink.told(t)) != 1 {
		t.Errorf("a handler that is not enabled was asked: %v", err)
	}
	if err := insights.WithItems(failing{slog.NewTextHandler(new(bytes.Buffer), nil)}, insights.NewEncoder(testNode()), sink).Handle(t.Context(), record); !errors.Is(err, io.ErrClosedPipe) || len(sink.told(t)) != 2 {
		t.Errorf("the console's error: %v", err)
	}

	out.Reset()
	quiet := slog.New(insights.WithItems(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}), insights.NewEncoder(testNode()), sink))
	quiet.Info("info")
	quiet.Warn("warn")
	if out.Len() != 0 || len(sink.told(t)) != 3 {
		t.Errorf("%s", &out)
	}
}
