package insights_test

import (
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"
	"go.uber.org/goleak"

	"userrelay/handler/console"
	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
	"userrelay/test/must"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden file anew") //nolint:gochecknoglobals // as go test's own flags

const testKey = "11111111-2222-3333-4444-555555555555"

func testNode() insights.Node {
	return insights.Node{Key: testKey, Role: "fn-user-events", Instance: "instance-1", Version: "1.2.3"}
}

// TestEnvelopes compares every item in its transmitted form, and every line on the console, with the golden file, and the
// items with the contracts' types. None may hold more of a registration than its user id, or text of a broker.
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
	promises := promises()
	for name, call := range promises {
		items[name] = func(s *itemSink) { call(ctx, telemetryOf(s)) }
	}
	for _, name := range slices.Sorted(maps.Keys(items)) {
		fmt.Fprintf(&got, "# %s\n", name)
		if call, ok := promises[name]; ok {
			got.WriteString(consoleOf(t, name, call))
		}
		synctest.Test(t, func(t *testing.T) { // for the times in them
			sink := &itemSink{}
			items[name](sink)
			for _, line := range sink.lines {
				decode(t, line)
				if name == "panicked" { // the lines of the program change
					line = frames.ReplaceAllString(line, `"parsedStack":[]`)
				}
				got.WriteString(line + "\n")
			}
		})
	}
	if strings.Contains(got.String(), private) {
		t.Errorf("an item or a line holds what is private:\n%s", got.String())
	}
	golden := filepath.Join("testdata", "envelopes.jsonl")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(must.Get[[]byte](t)(os.ReadFile(golden))), got.String()); diff != "" {
		t.Errorf("items changed; if that is meant, run the test with -update (-want +got):\n%s", diff)
	}
}

// consoleOf returns the lines of a call on the console, which do not depend on items: those that are always written, and
// those of Lines.
func consoleOf(t *testing.T, name string, call promise) string {
	t.Helper()
	lines := func(sink insights.Sink, all bool) string {
		var out strings.Builder
		c := configOf(sink)
		c.Lines, c.Log = all, console.New(&out, &out, console.Options{})
		call(invokedContext(t), insights.New(c))
		return out.String()
	}
	always, all := lines(nil, false), lines(nil, true)
	if lines(&itemSink{}, false) != always || lines(&itemSink{}, true) != all {
		t.Errorf("%s: with items there are other lines on the console", name)
	}
	var text strings.Builder
	for line := range strings.Lines(all) {
		when := "with Lines"
		if strings.Contains(always, line) {
			when = "console"
		}
		fmt.Fprintf(&text, "# %s: %s", when, line)
	}
	return text.String()
}

// itemSink records items.
type itemSink struct{ lines []string }

func (s *itemSink) Track(line []byte) { s.lines = append(s.lines, string(line)) }

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

// TestLongTexts has texts of each kind that are longer than the schema allows, with a long rune at the limit. Each
// must be cut to the largest number of whole runes.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return "x" + strings.Repeat("😀", n/4+1) } // four bytes each
	node := testNode()
	node.Role, node.Instance, node.Version = long(256), long(256), long(1024)
	encoder, sink := insights.NewEncoder(node), &itemSink{}
	config := configOf(sink)
	config.Encoder, config.Topic = encoder, long(1024)
	telemetry := insights.New(config)
	send := sentEvent(nil)
	send.Event.UserID, send.Metadata.Topic = long(8192), long(8192)
	telemetry.Sent(t.Context(), send)
	sink.Track(encoder.Message(long(32768)))
	telemetry.Panicked(t.Context(), longError(long(32768)), nil)

	envelope, data := decode(t, sink.lines[0])
	dependency, _ := data.(*contracts.RemoteDependencyData)
	items := sink.told(t)
	for text, limit := range map[string]int{
		envelope.Tags[contracts.CloudRole]: 256, envelope.Tags[contracts.CloudRoleInstance]: 256,
		envelope.Tags[contracts.ApplicationVersion]: 1024, envelope.Tags[contracts.InternalSdkVersion]: 64,
		dependency.Name: 1024, dependency.Target: 1024, dependency.Properties["userId"]: 8192, dependency.Properties["topic"]: 8192,
		items[1].Text: 32768, items[2].Text: len("insights_test.longError: ") + 32768,
	} {
		if len(text) > limit || len(text) < limit-3 || strings.ContainsRune(text, utf8.RuneError) {
			t.Errorf("%.40s… has %d bytes of at most %d", text, len(text), limit)
		}
	}
}

// longError is a runtime error with a long text.
type longError string

func (e longError) Error() string { return string(e) }
func (longError) RuntimeError()   {}

// FuzzItems checks the items of a registration with any texts.
func FuzzItems(f *testing.F) {
	f.Add("auth0|65f0c0ffee", "e-1", "user-events", 3, int64(317), int64(30e6))
	f.Add("auth0|1", "e-1", "user-events", 0, int64(0), int64(93784_123456789)) // a day, two hours, three minutes, four seconds
	f.Add("auth0|1", strings.Repeat("y", 9000), "t", 0, int64(0), int64(0))
	f.Add("<é\"\\\x00\u2028😀>", "", "", -1, int64(-1), int64(0))
	f.Add("\xff\xf0\x9f", "\xc3", strings.Repeat("é", 600), 1<<31-1, int64(math.MaxInt64), int64(math.MaxInt64))
	f.Add(strings.Repeat("\x01", 1000), "e-1", "user-events", 3, int64(317), int64(30e6)) // six bytes each, as JSON
	f.Fuzz(func(t *testing.T, userID, eventID, topic string, partition int, offset, duration int64) {
		if duration < 0 || len(topic) > 1<<15 || len(userID) > 1<<12 {
			t.Skip("time does not run backwards, and a registration's texts have limits")
		}
		sink := &itemSink{}
		config := configOf(sink)
		config.Topic = topic
		telemetry := insights.New(config)
		e := registeredEvent()
		e.UserID, e.ID = userID, eventID
		send := sentEvent(nil)
		send.Event, send.Duration = e, time.Duration(duration)
		send.Metadata = delivery.RecordMetadata{Topic: topic, Partition: partition, Offset: offset}
		telemetry.Received(invokedContext(t), e)
		telemetry.Sent(t.Context(), send)
		telemetry.Forwarded(invokedContext(t), e, send.Metadata)
		for _, item := range sink.told(t) {
			p := item.Properties
			for name, text := range map[string]string{"userId": userID, "eventId": eventID} {
				if utf8.ValidString(text) && !strings.HasPrefix(text, p[name]) || len(text) <= 8192 && utf8.ValidString(text) && p[name] != text {
					t.Errorf("%s %q, want %q", name, p[name], text)
				}
			}
			// Sent has no invocation and no incoming trace: unknown fields are left out, and it still has an operation.
			_, invoked := p["InvocationId"]
			if alone := len(item.Tags) == 1; invoked == alone || alone != (item.Kind == "dependency") || len(item.Tags[contracts.OperationId]) != 32 {
				t.Errorf("invocation and operation: %+v", item)
			}
			if item.Kind != "trace" || p["offset"] != "" {
				if p["offset"] != strconv.FormatInt(offset, 10) || p["partition"] != strconv.Itoa(partition) {
					t.Errorf("place %+v", p)
				}
			}
			if item.Kind == "dependency" {
				d := time.Duration(duration)
				want := fmt.Sprintf("%d.%02d:%02d:%02d.%07d", d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60, d/time.Second%60, d/100%1e7)
				if item.Duration != want {
					t.Errorf("duration %q, want %q", item.Duration, want)
				}
			}
		}
	})
}
