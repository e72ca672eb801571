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
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// What Application Insights calls a message sent to Kafka, and a call of a Storage queue.
const (
	kafkaType = "Queue Message | kafka"
	queueType = "Azure queue"
)

// Telemetry makes items of what happens. Its methods neither block nor fail.
type Telemetry struct {
	sink   Sink         // nil: none
	lines  *slog.Logger // for events, where a person reads them; nil: not
	log    *slog.Logger
	topic  string
	send   string // name of the dependency
	target string // of the dependency
	queue  string

	advice func(error) string // what to do about an error of the outbox; nil: nobody knows

	undrained atomic.Int64 // when NotDrained told last, in ns since 1970
	unread    atomic.Bool  // Unread has told
}

// Config says where telemetry goes.
type Config struct {
	// Sink takes the items; nil where there is no Application Insights.
	Sink Sink
	// Log takes what concerns the program itself. It is the console's: what matters of it is an item, too.
	Log *slog.Logger
	// Lines makes a log line of every event, too. In Azure they would stand in the portal twice.
	Lines bool
	// Broker is the host of the first broker, Topic the Kafka topic: together they name the node on the application map.
	Broker, Topic string
	// Queue is the outbox's, and Advice says what to do about an error of it.
	Queue  string
	Advice func(error) string
}

// New returns a Telemetry.
func New(c Config) *Telemetry {
	t := &Telemetry{sink: c.Sink, log: c.Log, topic: c.Topic, send: "send " + c.Topic, target: c.Broker + "/" + c.Topic, queue: c.Queue, advice: c.Advice}
	if c.Lines {
		t.lines = c.Log
	}
	return t
}

func eventProperties(event string, e registration.Event) properties {
	p := append(make(properties, 0, 9), property{"event", event}) // room for a place, and for the class of an error
	return p.of(e)
}

// of adds what an event is known by: an event id is good for one source, a user id for one tenant.
func (p properties) of(e registration.Event) properties {
	return append(p, property{"userId", e.UserID}, property{"eventId", e.ID}, property{"source", e.Source})
}

func (p properties) place(md delivery.RecordMetadata) properties {
	return append(p, property{"topic", md.Topic},
		property{"partition", strconv.Itoa(md.Partition)}, property{"offset", strconv.FormatInt(md.Offset, 10)})
}

// placeText is a place as people read it: "user-events[3]@317".
func placeText(md delivery.RecordMetadata) string {
	return md.Topic + "[" + strconv.Itoa(md.Partition) + "]@" + strconv.FormatInt(md.Offset, 10)
}

func (p properties) failed(err error) properties {
	return append(p, property{"errorClass", string(delivery.ClassOf(err))})
}

// Received tells that a request holds a registration. People search the portal for its message.
func (t *Telemetry) Received(ctx context.Context, e registration.Event) {
	t.trace(ctx, slog.LevelInfo, "Received ID of the newly registered user: "+registration.Shown(e.UserID), eventProperties("received", e))
}

// TenantLeftOut tells that a registration named a tenant which cannot be one, such as a placeholder that was not replaced.
func (t *Telemetry) TenantLeftOut(ctx context.Context, e registration.Event) {
	t.trace(ctx, slog.LevelWarn, "The tenant that the request names cannot be one: left out", eventProperties("tenant-left-out", e))
}

// Forwarded tells that Kafka has the registration.
func (t *Telemetry) Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata) {
	t.trace(ctx, slog.LevelInfo, "Forwarded to "+placeText(md), eventProperties("forwarded", e).place(md))
}

// Refused tells that the registration is stored nowhere, as far as is known.
func (t *Telemetry) Refused(ctx context.Context, e registration.Event, err error) {
	t.trace(ctx, slog.LevelError, "Not stored", eventProperties("refused", e).failed(err))
}

// Outboxed tells that the outbox has the registration, and why Kafka does not.
func (t *Telemetry) Outboxed(ctx context.Context, e registration.Event, err error) {
	t.trace(ctx, slog.LevelWarn, "Kafka unavailable, kept in the outbox", eventProperties("outboxed", e).failed(err))
}

// Withdrawn tells that Kafka has the registration after all, and the outbox no longer.
func (t *Telemetry) Withdrawn(ctx context.Context, e registration.Event, md delivery.RecordMetadata) {
	t.trace(ctx, slog.LevelInfo, "Taken back from the outbox, forwarded to "+placeText(md), eventProperties("withdrawn", e).place(md))
}

// Drained tells that Kafka has a registration that was in the outbox.
func (t *Telemetry) Drained(ctx context.Context, e registration.Event, md delivery.RecordMetadata, queued time.Duration) {
	t.trace(ctx, slog.LevelInfo, "Drained to "+placeText(md),
		append(eventProperties("drained", e).place(md), property{"queuedMs", strconv.FormatInt(queued.Milliseconds(), 10)}))
}

// NotDrained tells that a message stays in the outbox for now. The event is empty where it could not be read. Of many
// messages only one a second is told.
func (t *Telemetry) NotDrained(ctx context.Context, e registration.Event, err error) {
	const message = "Not drained, the message stays in the outbox"
	now := time.Now().UnixNano()
	last := t.undrained.Load()
	if now-last < int64(time.Second) || !t.undrained.CompareAndSwap(last, now) {
		return
	}
	p := properties{{"event", "undrained"}}
	if e.ID != "" {
		p = eventProperties("undrained", e)
	}
	t.state(ctx, slog.LevelWarn, message, p.failed(err), slog.Any("doing", err))
}

// Poisoned tells that a message of the outbox can never be drained, and lies in the poison queue. The event is empty where
// it could not be read.
func (t *Telemetry) Poisoned(ctx context.Context, e registration.Event, m delivery.Poisoned) {
	p := properties{{"event", "poisoned"}}
	if e.ID != "" {
		p = eventProperties("poisoned", e)
	}
	p = append(p, property{"errorClass", string(m.Class)}, property{"messageId", m.MessageID}, property{"reason", m.Reason})
	t.state(ctx, slog.LevelError, "Moved to the poison queue", p)
}

// Diverted tells that registrations go straight to the outbox.
func (t *Telemetry) Diverted(ctx context.Context) {
	t.state(ctx, slog.LevelWarn, "Kafka is away: registrations go straight to the outbox", properties{{"event", "diverted"}})
}

// Resumed tells that registrations go to Kafka again, how long they did not, and how many messages lie in the outbox, fewer
// than none where that is not known.
func (t *Telemetry) Resumed(ctx context.Context, away time.Duration, waiting int) {
	p := properties{{"event", "resumed"}, {"awayMs", strconv.FormatInt(away.Milliseconds(), 10)}}
	message := fmt.Sprintf("Kafka is back after %.1fs", away.Seconds())
	if waiting >= 0 {
		message += fmt.Sprintf("; %d in the outbox", waiting)
		p = append(p, property{"waiting", strconv.Itoa(waiting)})
	}
	t.state(ctx, slog.LevelInfo, message, p)
}

// Emptied tells that the outbox is empty again.
func (t *Telemetry) Emptied(ctx context.Context) {
	t.state(ctx, slog.LevelInfo, "The outbox is empty", properties{{"event", "emptied"}})
}

// Unread tells that the outbox cannot be read, so that nothing is drained, and what to do about it; once, until Read.
func (t *Telemetry) Unread(ctx context.Context, err error) {
	if t.unread.Swap(true) {
		return
	}
	todo := ""
	if t.advice != nil {
		todo = t.advice(err)
	}
	t.state(ctx, slog.LevelWarn, "The outbox cannot be reached: nothing is drained, and while Kafka is away registrations are refused",
		properties{{"event", "unread"}}, slog.Any("doing", err), slog.String("todo", todo))
}

// Read tells that the outbox can be read again.
func (t *Telemetry) Read(ctx context.Context) {
	if t.unread.Swap(false) {
		t.state(ctx, slog.LevelInfo, "The outbox can be reached again", properties{{"event", "read"}})
	}
}

// state makes an item and a line, wherever lines go: of what a person must see at the console, too.
func (t *Telemetry) state(ctx context.Context, level slog.Level, message string, p properties, more ...slog.Attr) {
	attrs := append(lineAttrs(ctx, p), more...)
	t.log.LogAttrs(ctx, level, message, attrs...)
	t.item(ctx, level, message, p)
}

// Sent tells of one attempt to store a record. Its span is the parent of what consumers do with the record.
func (t *Telemetry) Sent(ctx context.Context, s delivery.SendAttempt) {
	if t.sink == nil {
		return
	}
	p := make(properties, 0, 8).of(s.Event)
	if s.Err == nil {
		p = p.place(s.Metadata)
		if s.Metadata.Throttled > 0 {
			p = append(p, property{"throttledMs", strconv.FormatInt(s.Metadata.Throttled.Milliseconds(), 10)})
		}
	} else {
		p = append(p, property{"topic", t.topic}).failed(s.Err)
	}
	t.sink.Track(&record{
		at: s.Start, operation: trace.FromContext(ctx), text: t.send, properties: p,
		call: &call{
			kind: kafkaType, target: t.target, id: s.Span.SpanID, result: cmp.Or(string(delivery.ClassOf(s.Err)), "0"),
			duration: s.Duration, success: s.Err == nil,
		},
	})
}

// Put tells of one attempt to keep a registration in the outbox.
func (t *Telemetry) Put(ctx context.Context, p delivery.PutAttempt) {
	if t.sink == nil {
		return
	}
	result := "0"
	if p.Err != nil {
		result = p.Err.Error() // a sentence of this program and an error code of the service
	}
	t.sink.Track(&record{
		at: p.Start, operation: trace.FromContext(ctx), text: "put " + t.queue,
		properties: properties{}.of(p.Event),
		call: &call{
			kind: queueType, target: t.queue, id: p.Span.SpanID, result: result, duration: p.Duration, success: p.Err == nil,
		},
	})
}

// Panicked tells of a fault of the program. A value that is no runtime error may hold anything: its type is told only.
func (t *Telemetry) Panicked(ctx context.Context, value any, stack []byte) {
	text := fmt.Sprintf("%T", value)
	fault := any(text)
	if e, ok := value.(runtime.Error); ok {
		text, fault = e.Error(), e
	}
	t.log.ErrorContext(ctx, "Panic while answering a request", "value", text, "stack", string(stack))
	if t.sink == nil {
		return
	}
	op := trace.FromContext(ctx)
	item := appinsights.NewExceptionTelemetry(fault)
	item.Properties = (&record{operation: op}).GetProperties()
	item.Tags = operationTags(op)
	t.sink.Track(item)
}

// Unhealthy tells that Kafka does not answer the health check.
func (t *Telemetry) Unhealthy(ctx context.Context, err error) {
	t.state(ctx, slog.LevelWarn, "Kafka is away: the health check says degraded", properties{{"event", "unhealthy"}}.failed(err), slog.Any("doing", err))
}

// Healthy tells that Kafka answers the health check again.
func (t *Telemetry) Healthy(ctx context.Context) {
	t.state(ctx, slog.LevelInfo, "Kafka is back: the health check says ok", properties{{"event", "healthy"}})
}

// trace makes an item of an event, and a line where a person reads them.
func (t *Telemetry) trace(ctx context.Context, level slog.Level, message string, p properties) {
	if t.lines != nil {
		t.line(ctx, level, message, p)
	}
	t.item(ctx, level, message, p)
}

func (t *Telemetry) line(ctx context.Context, level slog.Level, message string, p properties) {
	t.lines.LogAttrs(ctx, level, message, lineAttrs(ctx, p)...)
}

// lineAttrs are what a line has of an item's properties: what a person looks a registration up by.
func lineAttrs(ctx context.Context, p properties) []slog.Attr {
	attrs := make([]slog.Attr, 0, 6)
	for _, q := range p {
		switch q.key {
		case "eventId", "errorClass", "messageId", "reason":
			attrs = append(attrs, slog.String(q.key, q.value))
		}
	}
	if id := trace.FromContext(ctx).InvocationID; id != "" {
		attrs = append(attrs, slog.String("InvocationId", id))
	}
	return attrs
}

func (t *Telemetry) item(ctx context.Context, level slog.Level, message string, p properties) {
	if t.sink != nil {
		t.sink.Track(&record{at: time.Now(), operation: trace.FromContext(ctx), text: message, level: level, properties: p})
	}
}
