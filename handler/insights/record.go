package insights

import (
	"log/slog"
	"time"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/trace"
)

// record is an item that will be one of the SDK's when it is sent. It is made where a registration waits for it, so it
// is small: the SDK's items, with two maps each, cost several times as much. It never changes.
type record struct {
	at         time.Time
	operation  trace.Operation
	text       string     // message of a trace, name of a dependency
	level      slog.Level // of a trace
	properties properties
	call       *call // nil: a trace
}

// call is what a dependency has beyond a trace.
type call struct {
	kind, target, id, result string
	duration                 time.Duration
	success                  bool
}

// property is one of an item's customDimensions.
type property struct{ key, value string }

type properties []property

// set gives a property a value, once: the last one counts, as in a log line that is read from its end.
func (p properties) set(key, value string) properties {
	for i := range p {
		if p[i].key == key {
			p[i].value = value
			return p
		}
	}
	return append(p, property{key, value})
}

// size is about what the record holds in memory, in bytes.
func (r *record) size() int {
	const fixed = 500 // the structs, and the strings that are short and of equal length in all
	n := fixed + len(r.text)
	for _, p := range r.properties {
		n += len(p.key) + len(p.value)
	}
	return n
}

// item returns the record as an item of the SDK, which shares nothing with the record or other items.
func (r *record) item() appinsights.Telemetry {
	base := appinsights.BaseTelemetry{Timestamp: r.at, Properties: r.GetProperties(), Tags: operationTags(r.operation)}
	if r.call == nil {
		return &appinsights.TraceTelemetry{BaseTelemetry: base, Message: r.text, SeverityLevel: severity(r.level)}
	}
	return &appinsights.RemoteDependencyTelemetry{
		BaseTelemetry: base, Name: r.text, Type: r.call.kind, Target: r.call.target, Id: r.call.id,
		ResultCode: r.call.result, Duration: r.call.duration, Success: r.call.success,
	}
}

// operationTags are the tags that make items of one operation a transaction.
func operationTags(o trace.Operation) contracts.ContextTags {
	tags := contracts.ContextTags{}
	tags.Operation().SetId(o.TraceID)
	tags.Operation().SetParentId(o.SpanID)
	tags.Operation().SetName(o.Name)
	return tags
}

// The methods of appinsights.Telemetry make a record an item for every Sink.

// Time is when the item happened, or began.
func (r *record) Time() time.Time { return r.at }

// SetTime does nothing: a record never changes.
func (r *record) SetTime(time.Time) {}

// ContextTags are the operation's.
func (r *record) ContextTags() map[string]string { return operationTags(r.operation) }

// TelemetryData is the item in the data model of Application Insights.
func (r *record) TelemetryData() appinsights.TelemetryData { return r.item().TelemetryData() }

// GetProperties are the item's customDimensions.
func (r *record) GetProperties() map[string]string {
	m := make(map[string]string, len(r.properties)+1)
	for _, p := range r.properties {
		m[p.key] = p.value
	}
	if r.operation.InvocationID != "" {
		m["InvocationId"] = r.operation.InvocationID // the key that the host uses on its own items
	}
	return m
}

// GetMeasurements returns none.
func (r *record) GetMeasurements() map[string]float64 { return nil }

func severity(l slog.Level) contracts.SeverityLevel {
	switch {
	case l < slog.LevelInfo:
		return appinsights.Verbose
	case l < slog.LevelWarn:
		return appinsights.Information
	case l < slog.LevelError:
		return appinsights.Warning
	case l < slog.LevelError+4:
		return appinsights.Error
	default:
		return appinsights.Critical
	}
}
