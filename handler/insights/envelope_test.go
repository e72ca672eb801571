package insights_test

import (
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"
	"go.uber.org/goleak"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden file anew") //nolint:gochecknoglobals // as go test's own flags

const testKey = "11111111-2222-3333-4444-555555555555"

func testNode() insights.Node {
	return insights.Node{Key: testKey, Role: "fn-user-events", Instance: "instance-1", Version: "1.2.3"}
}

// TestEnvelopes compares every item in its transmitted form with the golden file and with the contracts' types.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	frames := regexp.MustCompile(`"parsedStack":\[\{"level":0,.*?\}\]`)
	var got strings.Builder
	ctx, encoder := invokedContext(t), insights.NewEncoder(testNode())
	items := map[string]func(s *itemSink){
		"a log line": func(s *itemSink) {
			log := slog.New(insights.WithItems(slog.DiscardHandler, encoder, s))
			log.WarnContext(ctx, "Kafka cannot be used", "error", failedWith(delivery.Throttled), "user", private)
		},
		"a message": func(s *itemSink) { s.Track(encoder.Message("a <b> & \"c\" \\ é 日本 😀 \t\n\x00\x7f\u2028")) },
		"telemetry-stats": func(s *itemSink) {
			s.Track(encoder.Stats(ingest.Stats{Tracked: 15, Accepted: 9, Rejected: 3, Dropped: 2, Pending: 1, Reason: "full"}))
		},
		"telemetry-stats, nothing lost": func(s *itemSink) { s.Track(encoder.Stats(ingest.Stats{Tracked: 1, Accepted: 1})) },
	}
	for name, call := range promises() {
		items[name] = func(s *itemSink) { call(ctx, telemetryOf(s, slog.New(slog.DiscardHandler))) }
	}
	for _, name := range slices.Sorted(maps.Keys(items)) {
		synctest.Test(t, func(t *testing.T) { // for the times in them
			sink := &itemSink{}
			items[name](sink)
			fmt.Fprintf(&got, "# %s\n", name)
			for _, line := range sink.lines {
				decode(t, line)
				if name == "panicked" { // the lines of the program change
					line = frames.ReplaceAllString(line, `"parsedStack":[]`)
				}
				got.WriteString(line + "\n")
			}
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

// itemSink records items.
type itemSink struct {
	mu    sync.Mutex
	lines []string
}

func (s *itemSink) Track(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, string(line))
}

// toldItem is an item as the portal shows it.
type toldItem struct {
	Kind, Text string // message of a trace, name of a dependency, message of an exception
	Severity   contracts.SeverityLevel
	Properties map[string]string // customDimensions
	Tags       map[string]string // of the operation
	Duration   string            // of a dependency
}

func (s *itemSink) told(t *testing.T) []toldItem {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []toldItem
	for _, line := range s.lines {
		envelope, data := decode(t, line)
		maps.DeleteFunc(envelope.Tags, func(tag, _ string) bool { return !strings.HasPrefix(tag, "ai.operation.") })
		got := toldItem{Tags: envelope.Tags}
		switch d := data.(type) {
		case *contracts.MessageData:
			got.Kind, got.Text, got.Severity, got.Properties = "trace", d.Message, d.SeverityLevel, d.Properties
		case *contracts.RemoteDependencyData:
			got.Kind, got.Text, got.Properties, got.Duration = "dependency", d.Name, d.Properties, d.Duration
		case *contracts.ExceptionData:
			got.Kind, got.Severity, got.Properties = "exception", d.SeverityLevel, d.Properties
			got.Text = d.Exceptions[0].TypeName + ": " + d.Exceptions[0].Message
		}
		all = append(all, got)
	}
	return all
}

// decode reads a line into the contracts' own types, and checks the rules for all items: the types have every member,
// no name occurs twice, and no text is longer than the schema allows.
func decode(t *testing.T, line string) (*contracts.Envelope, any) {
	t.Helper()
	if strings.Contains(line, "\n") || !utf8.ValidString(line) {
		t.Fatalf("no line of UTF-8: %q", line)
	}
	var raw struct {
		contracts.Envelope
		Data struct {
			contracts.Base
			BaseData jsontext.Value `json:"baseData"`
		} `json:"data"`
	}
	strictly := json.RejectUnknownMembers(true)
	if err := json.Unmarshal([]byte(line), &raw, strictly); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	data, ok := map[string]interface {
		EnvelopeName(key string) string
		BaseType() string
		Sanitize() []string
	}{
		"MessageData": contracts.NewMessageData(), "RemoteDependencyData": contracts.NewRemoteDependencyData(),
		"ExceptionData": contracts.NewExceptionData(),
	}[raw.Data.BaseType]
	if !ok {
		t.Fatalf("a %s: %s", raw.Data.BaseType, line)
	}
	if err := json.Unmarshal(raw.Data.BaseData, data, strictly); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	envelope, byDefault := &raw.Envelope, contracts.NewEnvelope()
	if name := data.EnvelopeName(strings.ReplaceAll(testKey, "-", "")); envelope.Name != name || envelope.Ver != byDefault.Ver ||
		envelope.SampleRate != byDefault.SampleRate || envelope.Seq != byDefault.Seq || envelope.IKey != testKey {
		t.Errorf("envelope %+v, want the name %s and the defaults", envelope, name)
	}
	if _, err := time.Parse(time.RFC3339Nano, envelope.Time); err != nil || !strings.HasSuffix(envelope.Time, "Z") {
		t.Errorf("time %q", envelope.Time)
	}
	for _, tag := range []string{contracts.CloudRole, contracts.CloudRoleInstance, contracts.ApplicationVersion, contracts.InternalSdkVersion} {
		if envelope.Tags[tag] == "" {
			t.Errorf("no %s: %s", tag, line)
		}
	}
	for _, warning := range append(data.Sanitize(), contracts.SanitizeTags(envelope.Tags)...) {
		t.Error(warning)
	}
	return envelope, data
}
