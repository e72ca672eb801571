// Package insights reports the outcomes of registrations to Application Insights and on the console.
//
// The names, messages and properties of its items are a contract: queries, alerts and people use them to find a
// registration. No item holds a secret, or personal data other than the user id.
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

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// Application Insights' types of a message sent to Kafka, and of a call of a Storage queue.
const (
	kafkaType = "Queue Message | kafka"
	queueType = "Azure queue"
)

// Sink accepts items, each a line of JSON, which it may use only until Track returns. Track neither blocks nor fails.
type Sink interface{ Track(line []byte) }

// Telemetry turns events of the program into items. Its methods neither block nor fail.
type Telemetry struct {
	config Config
	send   string // name of the dependency
	target string // of the dependency

	undrained atomic.Int64 // when NotDrained made its last item, in ns since 1970
	unread    atomic.Bool  // Unread has reported
}

// Config says where telemetry goes.
type Config struct {
	// Sink accepts the items that Encoder writes; both are nil without Application Insights.
	Sink    Sink
	Encoder *Encoder
	// Log is the console, for messages about the program. Important ones also become items.
	Log *slog.Logger
	// Lines also writes every event as a log line. In Azure the portal would then show each event twice.
	Lines bool
	// Broker is the host of the first broker, Topic the Kafka topic: together they name the node on the application map.
	Broker, Topic string
	// Queue is the name of the outbox's queue. Advice says how to fix an error of it; nil: no advice.
	Queue  string
	Advice func(error) string
}

// New returns a Telemetry.
func New(c Config) *Telemetry {
	return &Telemetry{config: c, send: "send " + c.Topic, target: c.Broker + "/" + c.Topic}
}

// Received reports a registration in a request. People search the portal for its message.
func (t *Telemetry) Received(ctx context.Context, e registration.Event) {
	t.tell(ctx, &item{text: "Received ID of the newly registered user: ", user: registration.Shown(e.UserID), event: "received", about: of(e)})
}

// TenantLeftOut reports that a registration named an invalid tenant, such as a placeholder that was not replaced.
func (t *Telemetry) TenantLeftOut(ctx context.Context, e registration.Event) {
	t.tell(ctx, &item{level: slog.LevelWarn, text: "The tenant that the request names cannot be one: left out", event: "tenant-left-out", about: of(e)})
}

// Forwarded reports that Kafka has stored the registration.
func (t *Telemetry) Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata) {
	t.tell(ctx, &item{text: "Forwarded to ", placed: true, event: "forwarded", about: of(e), place: at(md)})
}

// Refused reports that the registration is not known to be stored anywhere.
func (t *Telemetry) Refused(ctx context.Context, e registration.Event, err error) {
	t.tell(ctx, &item{level: slog.LevelError, text: "Not stored", event: "refused", about: of(e), class: delivery.ClassOf(err)})
}

// Outboxed reports that the outbox has stored the registration, and why Kafka has not.
func (t *Telemetry) Outboxed(ctx context.Context, e registration.Event, err error) {
	t.tell(ctx, &item{level: slog.LevelWarn, text: "Kafka unavailable, kept in the outbox", event: "outboxed", about: of(e), class: delivery.ClassOf(err)})
}

// Withdrawn reports that Kafka has stored the registration later, and that it is no longer in the outbox.
func (t *Telemetry) Withdrawn(ctx context.Context, e registration.Event, md delivery.RecordMetadata) {
	t.tell(ctx, &item{text: "Taken back from the outbox, forwarded to ", placed: true, event: "withdrawn", about: of(e), place: at(md)})
}

// Drained reports that Kafka has stored a registration from the outbox.
func (t *Telemetry) Drained(ctx context.Context, e registration.Event, md delivery.RecordMetadata, queued time.Duration) {
	t.tell(ctx, &item{text: "Drained to ", placed: true, event: "drained", about: of(e), place: at(md), more: []property{{"queuedMs", milliseconds(queued)}}})
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// NotDrained reports that a message stays in the outbox for now, at most one message a second. The event is empty if
// the message could not be read.
func (t *Telemetry) NotDrained(ctx context.Context, e registration.Event, err error) {
	now := time.Now().UnixNano()
	last := t.undrained.Load()
	if now-last < int64(time.Second) || !t.undrained.CompareAndSwap(last, now) {
		return
	}
	i := item{level: slog.LevelWarn, text: "Not drained, the message stays in the outbox", event: "undrained", class: delivery.ClassOf(err)}
	if e.ID != "" {
		i.about = of(e)
	}
	t.state(ctx, &i, slog.Any("doing", err))
}

// Poisoned reports that a message of the outbox can never be drained and is now in the poison queue. The event is
// empty if the message could not be read.
func (t *Telemetry) Poisoned(ctx context.Context, e registration.Event, m delivery.Poisoned) {
	i := item{
		level: slog.LevelError, text: "Moved to the poison queue", event: "poisoned", class: m.Class,
		more: []property{{"messageId", m.MessageID}, {"reason", m.Reason}},
	}
	if e.ID != "" {
		i.about = of(e)
	}
	t.state(ctx, &i)
}

// Diverted reports that registrations go directly to the outbox.
func (t *Telemetry) Diverted(ctx context.Context) {
	t.state(ctx, &item{level: slog.LevelWarn, text: "Kafka is away: registrations go straight to the outbox", event: "diverted"})
}

// Resumed reports that registrations go to Kafka again, how long they did not, and how many messages are in the
// outbox; a negative number means unknown.
func (t *Telemetry) Resumed(ctx context.Context, away time.Duration, waiting int) {
	i := item{text: fmt.Sprintf("Kafka is back after %.1fs", away.Seconds()), event: "resumed", more: []property{{"awayMs", milliseconds(away)}}}
	if waiting >= 0 {
		i.text += fmt.Sprintf("; %d in the outbox", waiting)
		i.more = append(i.more, property{"waiting", strconv.Itoa(waiting)})
	}
	t.state(ctx, &i)
}

// Emptied reports that the outbox is empty again.
func (t *Telemetry) Emptied(ctx context.Context) {
	t.state(ctx, &item{text: "The outbox is empty", event: "emptied"})
}

// Unread reports that the outbox cannot be read, so that nothing is drained, and how to fix it. It reports once until
// Read.
func (t *Telemetry) Unread(ctx context.Context, err error) {
	if t.unread.Swap(true) {
		return
	}
	todo := ""
	if t.config.Advice != nil {
		todo = t.config.Advice(err)
	}
	t.state(ctx, &item{
		level: slog.LevelWarn, event: "unread",
		text: "The outbox cannot be reached: nothing is drained, and while Kafka is away registrations are refused",
	}, slog.Any("doing", err), slog.String("todo", todo))
}

// Read reports that the outbox can be read again.
func (t *Telemetry) Read(ctx context.Context) {
	if t.unread.Swap(false) {
		t.state(ctx, &item{text: "The outbox can be reached again", event: "read"})
	}
}

// Unhealthy reports that Kafka does not answer the health check.
func (t *Telemetry) Unhealthy(ctx context.Context, err error) {
	t.state(ctx, &item{
		level: slog.LevelWarn, text: "Kafka is away: the health check says degraded", event: "unhealthy", class: delivery.ClassOf(err),
	}, slog.Any("doing", err))
}

// Healthy reports that Kafka answers the health check again.
func (t *Telemetry) Healthy(ctx context.Context) {
	t.state(ctx, &item{text: "Kafka is back: the health check says ok", event: "healthy"})
}

// Sent reports one attempt to store a record. Its span is the parent of the consumers' spans for the record.
func (t *Telemetry) Sent(ctx context.Context, s delivery.SendAttempt) {
	class := delivery.ClassOf(s.Err)
	i := item{at: s.Start, text: t.send, about: of(s.Event), class: class, call: &call{
		kind: kafkaType, target: t.target, id: s.Span.SpanID, result: cmp.Or(string(class), "0"), duration: s.Duration, success: s.Err == nil,
	}}
	if s.Err != nil {
		i.topic = t.config.Topic
	} else {
		i.placed, i.place = true, at(s.Metadata)
		if s.Metadata.Throttled > 0 {
			i.more = []property{{"throttledMs", milliseconds(s.Metadata.Throttled)}}
		}
	}
	t.item(trace.FromContext(ctx), &i)
}

// Put reports one attempt to store a registration in the outbox.
func (t *Telemetry) Put(ctx context.Context, p delivery.PutAttempt) {
	result := "0"
	if p.Err != nil {
		result = p.Err.Error() // a sentence of this program and an error code of the service
	}
	t.item(trace.FromContext(ctx), &item{at: p.Start, text: "put " + t.config.Queue, about: of(p.Event), call: &call{
		kind: queueType, target: t.config.Queue, id: p.Span.SpanID, result: result, duration: p.Duration, success: p.Err == nil,
	}})
}

// Panicked reports a panic. A value that is not a runtime error may hold any data, so only its type is reported.
func (t *Telemetry) Panicked(ctx context.Context, value any, stack []byte) {
	f := fault{kind: "string", text: fmt.Sprintf("%T", value)}
	if e, ok := value.(runtime.Error); ok {
		f.kind, f.text = f.text, e.Error()
	}
	t.config.Log.ErrorContext(ctx, "Panic while answering a request", "value", f.text, "stack", string(stack))
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		f.stack = append(f.stack, frame)
	}
	t.item(trace.FromContext(ctx), &item{fault: &f})
}

// tell writes an event as an item, and as a line if Lines is set.
func (t *Telemetry) tell(ctx context.Context, i *item) {
	op := trace.FromContext(ctx)
	if t.config.Lines {
		t.line(ctx, op, i)
	}
	t.item(op, i)
}

// state writes an item and always a line, for events that a person must also see on the console.
func (t *Telemetry) state(ctx context.Context, i *item, more ...slog.Attr) {
	op := trace.FromContext(ctx)
	t.line(ctx, op, i, more...)
	t.item(op, i)
}

// line writes a line with the data by which people search for a registration.
func (t *Telemetry) line(ctx context.Context, op trace.Operation, i *item, more ...slog.Attr) {
	var attrs []slog.Attr
	if i.about.known {
		attrs = append(attrs, slog.String("eventId", i.about.id))
	}
	if i.class != "" {
		attrs = append(attrs, slog.String("errorClass", string(i.class)))
	}
	for _, p := range i.more {
		if p.key == "messageId" || p.key == "reason" {
			attrs = append(attrs, slog.String(p.key, p.value))
		}
	}
	if op.InvocationID != "" {
		attrs = append(attrs, slog.String("InvocationId", op.InvocationID))
	}
	t.config.Log.LogAttrs(ctx, i.level, string(i.message(nil)), append(attrs, more...)...)
}

func (t *Telemetry) item(op trace.Operation, i *item) {
	if t.config.Sink == nil {
		return
	}
	i.operation = op
	if i.at.IsZero() {
		i.at = time.Now()
	}
	t.config.Encoder.send(t.config.Sink, i)
}
