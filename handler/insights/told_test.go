package insights_test

import (
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/insights"
)

const testKey = "11111111-2222-3333-4444-555555555555"

func testNode() insights.Node {
	return insights.Node{Key: testKey, Role: "fn-user-events", Instance: "instance-1", Version: "1.2.3"}
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

func (s *itemSink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

// toldItem is an item as the portal shows it.
type toldItem struct {
	Kind, Text string // message of a trace, name of a dependency, message of an exception
	Severity   contracts.SeverityLevel
	Properties map[string]string // customDimensions
	Tags       map[string]string // but for those of the node
	Dependency toldDependency
}

type toldDependency struct {
	Type, Target, ID, ResultCode, Duration, Data string
	Success                                      bool
}

func (s *itemSink) told(t *testing.T) []toldItem {
	t.Helper()
	var all []toldItem
	for _, line := range s.all() {
		envelope, data := decode(t, line)
		got := toldItem{Tags: map[string]string{}}
		for tag, value := range envelope.Tags {
			if strings.HasPrefix(tag, "ai.operation.") {
				got.Tags[tag] = value
			}
		}
		switch d := data.(type) {
		case *contracts.MessageData:
			got.Kind, got.Text, got.Severity, got.Properties = "trace", d.Message, d.SeverityLevel, d.Properties
		case *contracts.RemoteDependencyData:
			got.Kind, got.Text, got.Properties = "dependency", d.Name, d.Properties
			got.Dependency = toldDependency{d.Type, d.Target, d.Id, d.ResultCode, d.Duration, d.Data, d.Success}
		case *contracts.ExceptionData:
			got.Kind, got.Severity, got.Properties = "exception", d.SeverityLevel, d.Properties
			got.Text = d.Exceptions[0].TypeName + ": " + d.Exceptions[0].Message
		}
		if got.Properties == nil {
			got.Properties = map[string]string{}
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
	var data interface {
		EnvelopeName(key string) string
		BaseType() string
		Sanitize() []string
	}
	switch raw.Data.BaseType {
	case "MessageData":
		data = contracts.NewMessageData()
	case "RemoteDependencyData":
		data = contracts.NewRemoteDependencyData()
	case "ExceptionData":
		data = contracts.NewExceptionData()
	default:
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
