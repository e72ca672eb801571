package insights_test

import (
	"maps"
	"sync"
	"testing"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"
)

// itemSink records what it is told.
type itemSink struct {
	mu    sync.Mutex
	items []appinsights.Telemetry
}

func (s *itemSink) Track(item appinsights.Telemetry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, item)
}

// toldItem is an item as it stands in the portal.
type toldItem struct {
	Kind, Text string // message of a trace, name of a dependency, message of an exception
	Severity   contracts.SeverityLevel
	Properties map[string]string // customDimensions
	Tags       map[string]string
	Dependency toldDependency
}

type toldDependency struct {
	Type, Target, ID, ResultCode, Duration, Data string
	Success                                      bool
}

func (s *itemSink) told(t *testing.T) []toldItem {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []toldItem
	for _, item := range s.items {
		got := toldItem{Properties: maps.Clone(item.GetProperties()), Tags: maps.Clone(item.ContextTags())}
		switch d := item.TelemetryData().(type) {
		case *contracts.MessageData:
			got.Kind, got.Text, got.Severity = "trace", d.Message, d.SeverityLevel
		case *contracts.RemoteDependencyData:
			got.Kind, got.Text = "dependency", d.Name
			got.Dependency = toldDependency{d.Type, d.Target, d.Id, d.ResultCode, d.Duration, d.Data, d.Success}
		case *contracts.ExceptionData:
			got.Kind, got.Severity = "exception", d.SeverityLevel
			got.Text = d.Exceptions[0].TypeName + ": " + d.Exceptions[0].Message
		default:
			t.Fatalf("item of type %T", d)
		}
		if len(item.GetMeasurements()) > 0 {
			t.Errorf("measurements: %v", item.GetMeasurements())
		}
		all = append(all, got)
	}
	return all
}
