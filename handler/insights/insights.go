// Package insights tells Application Insights, and a person at the console, what becomes of registrations.
//
// The names, messages and properties of its items are a contract: queries, alerts and people find a registration by
// them. No item holds personal data beyond the user id, and none a secret.
package insights

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"strconv"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// dependencyType is what Application Insights calls a message sent to Kafka.
const dependencyType = "Queue Message | kafka"

// Telemetry makes items of what happens. Its methods neither block nor fail.
type Telemetry struct {
	sink   Sink         // nil: none
	lines  *slog.Logger // for events, where a person reads them; nil: not
	log    *slog.Logger
	topic  string
	target string
}

// Config says where telemetry goes.
type Config struct {
	// Sink takes the items; nil where there is no Application Insights.
	Sink Sink
	// Log takes what concerns the program itself.
	Log *slog.Logger
	// Lines makes a log line of every event, too. In Azure they would stand in the portal twice.
	Lines bool
	// Broker is the host of the first broker, Topic the Kafka topic: together they name the node on the application map.
	Broker, Topic string
}

// New returns a Telemetry.
func New(c Config) *Telemetry {
	t := &Telemetry{sink: c.Sink, log: c.Log, topic: c.Topic, target: c.Broker + "/" + c.Topic}
	if c.Lines {
		t.lines = c.Log
	}
	return t
}

// properties are the customDimensions of an item.
type properties map[string]string

func eventProperties(event string, e registration.Event) properties {
	return properties{"event": event, "userId": e.UserID, "eventId": e.ID}
}

func (p properties) place(md delivery.RecordMetadata) properties {
	p["topic"] = md.Topic
	p["partition"] = strconv.Itoa(md.Partition)
	p["offset"] = strconv.FormatInt(md.Offset, 10)
	return p
}

func (p properties) failed(err error) properties {
	p["errorClass"] = string(delivery.ClassOf(err))
	return p
}

// Received tells that a request holds a registration. People search the portal for its message.
func (t *Telemetry) Received(ctx context.Context, e registration.Event) {
	t.trace(ctx, slog.LevelInfo, "Received ID of the newly registered user: "+e.UserID, eventProperties("received", e))
}

// Forwarded tells that Kafka has the registration.
func (t *Telemetry) Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata) {
	t.trace(ctx, slog.LevelInfo, fmt.Sprintf("Forwarded to %s[%d]@%d", md.Topic, md.Partition, md.Offset),
		eventProperties("forwarded", e).place(md))
}

// Refused tells that the registration is stored nowhere, as far as is known.
func (t *Telemetry) Refused(ctx context.Context, e registration.Event, err error) {
	t.trace(ctx, slog.LevelError, "Not stored", eventProperties("refused", e).failed(err))
}

// Sent tells of one attempt to store a record. Its span is the parent of what consumers do with the record.
func (t *Telemetry) Sent(ctx context.Context, s delivery.Send) {
	if t.sink == nil {
		return
	}
	item := appinsights.NewRemoteDependencyTelemetry("send "+t.topic, dependencyType, t.target, s.Err == nil)
	item.Id = s.Span.SpanID
	item.MarkTime(s.Start, s.Start.Add(s.Duration))
	item.ResultCode = cmp.Or(string(delivery.ClassOf(s.Err)), "0")
	p := properties{"userId": s.Event.UserID, "eventId": s.Event.ID, "topic": t.topic}
	if s.Err == nil {
		p.place(s.Metadata)
	} else {
		p.failed(s.Err)
	}
	t.track(ctx, item, item.Properties, item.Tags, p)
}

// Panicked tells of a fault of the program. A value that is no runtime error may hold anything: its type is told only.
func (t *Telemetry) Panicked(ctx context.Context, value any, stack []byte) {
	text := fmt.Sprintf("%T", value)
	if e, ok := value.(runtime.Error); ok {
		text = e.Error()
	}
	t.log.ErrorContext(ctx, "Panic while answering a request", "value", text, "stack", string(stack))
	if t.sink != nil {
		item := appinsights.NewExceptionTelemetry(text)
		t.track(ctx, item, item.Properties, item.Tags, properties{})
	}
}

// Unhealthy tells that Kafka cannot be reached.
func (t *Telemetry) Unhealthy(ctx context.Context, err error) {
	p := properties{"event": "unhealthy"}.failed(err)
	t.log.WarnContext(ctx, "Kafka cannot be reached", "errorClass", p["errorClass"], "doing", err)
	t.item(ctx, slog.LevelWarn, "Kafka cannot be reached", p)
}

// Healthy tells that Kafka can be reached again.
func (t *Telemetry) Healthy(ctx context.Context) {
	t.log.InfoContext(ctx, "Kafka can be reached again")
	t.item(ctx, slog.LevelInfo, "Kafka can be reached again", properties{"event": "healthy"})
}

// trace makes an item of an event, and a line where a person reads them.
func (t *Telemetry) trace(ctx context.Context, level slog.Level, message string, p properties) {
	if t.lines != nil {
		t.line(ctx, level, message, p)
	}
	t.item(ctx, level, message, p)
}

func (t *Telemetry) line(ctx context.Context, level slog.Level, message string, p properties) {
	attrs := make([]slog.Attr, 0, 4)
	for _, key := range []string{"eventId", "errorClass"} {
		if p[key] != "" {
			attrs = append(attrs, slog.String(key, p[key]))
		}
	}
	if id := trace.FromContext(ctx).InvocationID; id != "" {
		attrs = append(attrs, slog.String("InvocationId", id))
	}
	t.lines.LogAttrs(ctx, level, message, attrs...)
}

func (t *Telemetry) item(ctx context.Context, level slog.Level, message string, p properties) {
	if t.sink == nil {
		return
	}
	item := appinsights.NewTraceTelemetry(message, severity(level))
	t.track(ctx, item, item.Properties, item.Tags, p)
}

// track completes an item with what every item has and hands it over.
func (t *Telemetry) track(ctx context.Context, item appinsights.Telemetry, to map[string]string, tags contracts.ContextTags, p properties) {
	op := trace.FromContext(ctx)
	maps.Copy(to, p)
	if op.InvocationID != "" {
		to["InvocationId"] = op.InvocationID // the key that the host uses on its own items
	}
	tags.Operation().SetId(op.TraceID)
	if op.SpanID != "" {
		tags.Operation().SetParentId(op.SpanID)
	}
	if op.Name != "" {
		tags.Operation().SetName(op.Name)
	}
	t.sink.Track(item)
}

func severity(l slog.Level) contracts.SeverityLevel {
	switch {
	case l < slog.LevelInfo:
		return appinsights.Verbose
	case l < slog.LevelWarn:
		return appinsights.Information
	case l < slog.LevelError:
		return appinsights.Warning
	default:
		return appinsights.Error
	}
}
