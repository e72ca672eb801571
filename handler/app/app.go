// Package app assembles the handler: the functions, the relay that decides where a registration goes, the producer,
// the outbox and telemetry. The program and its simulation run the same code.
//
// It promises an order of shutdown: each part ends before the parts that it uses. Telemetry ends last, because it
// reports how the others ended. Everything outside the process comes with the configuration: networks, identities, the
// listener.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"userrelay/handler/functions"
	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/kafka"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

const (
	// How long shutdown waits for requests in progress. A delivery takes at most 4 s.
	drainLimit     = 4500 * time.Millisecond
	prepareLimit   = 30 * time.Second       // for making the outbox ready
	relayLimit     = 200 * time.Millisecond // for copies in the outbox of what Kafka has
	producerLimit  = 200 * time.Millisecond // for records whose callers are gone
	telemetryLimit = 500 * time.Millisecond // for the last items
)

// Config says what the handler works with.
type Config struct {
	Origin registration.Origin // of this app

	Kafka        kafka.Config // its Log is the handler's
	KafkaTimeout time.Duration

	Outbox        *outbox.Config // nil: there is none
	OutboxTimeout time.Duration

	Decoder registration.Decoder

	Insights       *ingest.Config // its Log is the console; nil: console only
	Role, Instance string         // of this program on the application map
	Lines          bool           // a console line for every event

	Now func() time.Time // the wall clock; nil: the system's

	Version string
	Build   func() functions.Build // what the function Version answers; nil: unknown
	Console *slog.Logger
}

// App is a handler that is ready to serve.
type App struct {
	topic, version string
	log            *slog.Logger
	handler        *functions.Handler
	relay          *relay.Relay
	producer       *kafka.Producer
	telemetry      *insights.Telemetry
	outbox         *outbox.Queue  // nil: there is none
	sender         *ingest.Sender // nil: console only
}

// New sets up a handler, which begins to connect. The caller must close it. It fails if the configuration cannot be
// used.
func New(c Config) (*App, error) {
	a := &App{topic: c.Kafka.Topic, version: c.Version, log: c.Console}
	if c.Outbox != nil {
		var err error
		if a.outbox, err = outbox.New(*c.Outbox); err != nil {
			return nil, fmt.Errorf("set up the outbox: %w", err)
		}
	}
	broker, _, _ := net.SplitHostPort(c.Kafka.Brokers[0]) // for telemetry to name
	told := insights.Config{
		Log:   c.Console, // registrations have their own items
		Lines: c.Lines, Broker: broker, Topic: c.Kafka.Topic, Queue: outbox.QueueName, Advice: outbox.Advice,
	}
	if c.Insights != nil {
		config := *c.Insights
		told.Encoder = insights.NewEncoder(insights.Node{
			Key: config.Connection.InstrumentationKey, Role: c.Role, Instance: c.Instance, Version: c.Version,
		})
		config.Log, config.Report = c.Console, told.Encoder.Stats
		a.sender = ingest.New(config)
		told.Sink, a.log = a.sender, slog.New(insights.WithItems(c.Console.Handler(), told.Encoder, a.sender))
	}
	telemetry := insights.New(told)
	a.telemetry = telemetry
	cluster := c.Kafka
	cluster.Log, cluster.Now = a.log, c.Now
	a.producer = kafka.New(cluster)
	where := relay.Config{
		Producer: a.producer, Observer: telemetry, KafkaTimeout: c.KafkaTimeout, Profile: c.Decoder.Profile, Origin: c.Origin, Now: c.Now,
	}
	if a.outbox != nil {
		where.Outbox, where.OutboxTimeout = a.outbox, c.OutboxTimeout
	}
	a.relay = relay.New(where)
	a.handler = functions.New(functions.Config{
		Decoder: c.Decoder, Deliver: a.relay, Drain: a.relay, Kafka: a.producer, Observer: telemetry, Build: c.Build, Now: c.Now,
	})
	return a, nil
}

// Log writes to the console, and to Application Insights if a connection string is set.
func (a *App) Log() *slog.Logger { return a.log }

// Serve answers the Functions host on the listener until ctx ends, then finishes the requests in progress. It closes
// the listener. It returns an error if it had to stop earlier.
func (a *App) Serve(ctx context.Context, l net.Listener) error {
	defer a.drainOutbox(ctx)()
	a.log.InfoContext(ctx, "The handler listens", "address", l.Addr().String(), "version", a.version, "topic", a.topic,
		"outbox", a.outbox != nil, "telemetry", a.sender != nil)
	err := functions.Serve(ctx, l, a.handler, a.log, drainLimit)
	if err != nil && ctx.Err() != nil {
		a.log.WarnContext(ctx, "Requests were cut off at the end", "error", err)
		return nil
	}
	return err
}

// Close ends the handler. Serve must have returned.
func (a *App) Close() {
	a.closeProducer() // first: it answers for all records
	a.closeRelay()
	if a.outbox != nil {
		a.outbox.Close()
	}
	if a.sender != nil {
		a.sender.Close(telemetryLimit)
	}
}

// drainOutbox prepares the outbox, so that the first registration that needs it does not wait, and drains it until ctx
// ends. wait returns when the drain has ended.
func (a *App) drainOutbox(ctx context.Context) (wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	var drain sync.WaitGroup
	if a.outbox != nil {
		drain.Go(func() {
			ready, done := context.WithTimeout(ctx, prepareLimit)
			defer done()
			if err := a.outbox.Prepare(ready); err != nil && ctx.Err() == nil {
				a.telemetry.Unread(ctx, err)
			}
			a.relay.DrainWhile(ctx)
		})
	}
	return func() {
		cancel()
		drain.Wait()
	}
}

// closeRelay ends the relay, which deletes from the outbox what Kafka has stored.
func (a *App) closeRelay() {
	ctx, cancel := context.WithTimeout(context.Background(), relayLimit)
	defer cancel()
	a.relay.Close(ctx)
}

// closeProducer ends the producer. No request waits for it any more.
func (a *App) closeProducer() {
	ctx, cancel := context.WithTimeout(context.Background(), producerLimit)
	defer cancel()
	if err := a.producer.Close(ctx); err != nil {
		a.log.WarnContext(ctx, "Records were in flight at the end", "error", err)
	}
}
