package insights_test

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/trace"
)

var update = flag.Bool("update", false, "write the golden file anew") //nolint:gochecknoglobals // as go test's own flags

// everyItem has each item that the program makes, by name.
func everyItem(t *testing.T) map[string]func(s insights.Sink) {
	t.Helper()
	op := trace.Operation{TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331", Flags: "01", InvocationID: "6b1a", Name: "RegisterUser"}
	ctx := trace.NewContext(t.Context(), op)
	encoder := insights.NewEncoder(testNode())
	all := map[string]func(insights.Sink){
		"a log line": func(s insights.Sink) {
			log := slog.New(insights.WithItems(slog.DiscardHandler, encoder, s))
			log.WarnContext(ctx, "Kafka cannot be used", "error", failedWith(delivery.Throttled), "user", private)
		},
		"a message": func(s insights.Sink) { s.Track(encoder.Message("a <b> & \"c\" \\ é 日本 😀 \t\n\x00\x7f\u2028")) },
		"telemetry-stats": func(s insights.Sink) {
			s.Track(encoder.Stats(ingest.Stats{Tracked: 15, Accepted: 9, Rejected: 3, Dropped: 2, Pending: 1, Reason: "full"}))
		},
		"telemetry-stats, nothing lost": func(s insights.Sink) {
			s.Track(encoder.Stats(ingest.Stats{Tracked: 1, Accepted: 1}))
		},
	}
	for name, c := range promises() {
		all[name] = func(s insights.Sink) { c.call(ctx, telemetryOf(s, slog.New(slog.DiscardHandler), false)) }
	}
	return all
}

// Two log attributes with the same name become one property: some readers refuse JSON with duplicate names.
func TestNoPropertyStandsTwice(t *testing.T) {
	t.Parallel()
	sink := &itemSink{}
	log := slog.New(insights.WithItems(slog.DiscardHandler, insights.NewEncoder(testNode()), sink)).With("code", 1, "event", "x")
	log.WarnContext(invokedContext(t), "m", "code", 2, "error", io.EOF, "errorClass", "fatal", "InvocationId", "another", "event", "y")
	items := sink.told(t) // which refuses two members of a name
	want := map[string]string{"event": "y", "code": "2", "errorClass": "fatal", "InvocationId": "6b1a"}
	if len(items) != 1 || !maps.Equal(items[0].Properties, want) {
		t.Errorf("items %+v", items)
	}
}

// TestEnvelopes compares every item in its transmitted form with the golden file and with the contracts' types.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	frames := regexp.MustCompile(`"parsedStack":\[\{"level":0,.*?\}\]`)
	var got strings.Builder
	items := everyItem(t)
	for _, name := range slices.Sorted(maps.Keys(items)) {
		synctest.Test(t, func(t *testing.T) { // for the times in them
			sink := &itemSink{}
			items[name](sink)
			if len(sink.lines) != 1 {
				t.Fatalf("%s: %d items", name, len(sink.lines))
			}
			decode(t, sink.lines[0])
			line := sink.lines[0]
			if name == "panicked" { // the lines of the program change
				line = frames.ReplaceAllString(line, `"parsedStack":[]`)
			}
			fmt.Fprintf(&got, "# %s\n%s\n", name, line)
		})
	}
	golden := filepath.Join("testdata", "envelopes.jsonl")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("items changed; if that is meant, run the test with -update (-want +got):\n%s", diff)
	}
}
