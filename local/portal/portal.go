// Package portal stands in for Application Insights on one machine. It accepts telemetry as the ingestion endpoint
// does, keeps the newest items, finds them by user id as the Azure portal does, and shows them on a page together with
// the records of the Kafka topic and the messages in the outbox.
//
// It is for loopback only: it refuses requests for other host names and from pages of another origin. It keeps a
// limited amount of data, in memory only.
package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Broker stops and starts the Kafka broker.
type Broker interface {
	Running() bool
	Resume() error
	Pause()
}

// Function is the target for registrations.
type Function struct {
	URL  string // with its key
	Curl string // a command line that registers a user, for copying
}

// Config has the portal's sources besides telemetry.
type Config struct {
	// Broker is nil if the broker belongs to somebody else.
	Broker Broker
	// Brokers are the addresses of Kafka, host:port. Empty: no records are shown.
	Brokers []string
	// Client are the options for connecting to Kafka: TLS and login.
	Client []kgo.Opt
	// Topic is the Kafka topic whose records are shown.
	Topic string
	// Outbox is nil if there is none.
	Outbox Outbox
	// OutboxAddress is the address of the queue service, host:port.
	OutboxAddress string
}

// Portal is the endpoint, the search and the page.
type Portal struct {
	config        Config
	store         store
	registrations *registrations
	metrics       metrics
	feed          feed
	topic         *topic  // nil: no Kafka
	queues        *queues // nil: no outbox
	function      atomic.Pointer[Function]
	parts         atomic.Pointer[Parts]
	closed        chan struct{}
	stop          func()
}

// Start returns a portal, which follows the topic and the outbox until ctx ends or Close is called. Close must be called.
func Start(ctx context.Context, c Config) (*Portal, error) {
	p := &Portal{config: c, registrations: newRegistrations(), closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	if len(c.Brokers) > 0 {
		var err error
		if p.topic, err = newTopic(c.Brokers, c.Topic, c.Client, p.feed.recordsChanged); err != nil {
			cancel()
			return nil, fmt.Errorf("follow the topic: %w", err)
		}
		running.Go(func() { p.topic.follow(ctx) })
	}
	if c.Outbox != nil {
		p.queues = &queues{outbox: c.Outbox, changed: p.feed.outboxChanged, failed: errors.New("not read yet")}
		running.Go(func() { p.queues.follow(ctx) })
	}
	running.Go(func() { p.lookAround(ctx) })
	p.stop = sync.OnceFunc(func() {
		close(p.closed)
		cancel()
		running.Wait()
	})
	return p, nil
}

// Close ends the portal's background work and its event streams.
func (p *Portal) Close() { p.stop() }

// SetFunction sets the target of the page's registrations.
func (p *Portal) SetFunction(f Function) {
	p.function.Store(&f)
	p.feed.stateChanged()
}

// Limits of concurrent requests. Above them the answer is 503.
const (
	maxStreams = 16
	maxReads   = 4 // of single records: each makes a Kafka client
	maxOrders  = 2 // of requests to the function
	maxResends = 1
)

// Handler returns the portal's routes. All answers but the page and the event stream are JSON; errors are plain text.
//
//	POST /v2.1/track, /v2/track   items, as Application Insights takes them
//	GET  /registrations           {"run", "newest", "keeps", "gone", "kept", "registrations"}: all, or with after=N those that
//	                              have changed since a former answer's "newest" was N
//	GET  /registration            ?key=KEY: one, with its steps, where its records are, and the request if it was refused
//	GET  /items                   search: userId, eventId, invocationId, operation (whole values), text (part of an
//	                              item), notes=true (those of no registration); the oldest first, or with newest=N at
//	                              most N, the newest first
//	GET  /metrics                 [{"name", "value", "count", "role", "time", "told"}]: each metric as it was told last
//	GET  /transaction             ?operation=ID: its items in order, what became of it, where its records are
//	GET  /records                 {"readable", "reason", "records"}: the newest 50 of the topic, the newest first
//	GET  /record                  ?partition=N&offset=N: one record of the topic; 404 where there is none, 503 when
//	                              Kafka cannot be reached
//	GET  /outbox                  {"readable", "reason", "waiting", "poisoned", "events", "messages", "drained",
//	                              "outage"}: how many messages wait and were given up, the newest of them, those drained
//	                              last, and what there is to tell of an outage
//	POST /resend                  puts back what was given up and can be drained: {"sent", "left"}
//	GET  /way                     {"host", "handler", "kafka", "outbox", "told"}: where each is, and whether it is there
//	GET  /broker                  {"running": bool}; 404 where the broker is somebody else's
//	PUT  /broker                  the same, to stop and start it
//	GET  /state                   {"topic", "brokers", "broker", "function", "curl", "items"}
//	POST /send                    {"body", "contentType", "idempotencyKey", "count", "withoutKey"}: sends count requests to
//	                              the function, in which {{id}} and {{now}} are new each time;
//	                              {"statuses", "tookMs", "first": {"body", "status", "answer"}}
//	GET  /events                  server-sent events: {"items", "records", "state", "outbox"}, four numbers of which
//	                              one changes when what it is named after has changed
//	GET  /, /page.css, /*.js      the page; ?q=TEXT searches, ?open=KEY opens a registration, ?operation=ID likewise
func (p *Portal) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2.1/track", p.track)
	mux.HandleFunc("POST /v2/track", p.track)
	mux.HandleFunc("GET /items", p.items)
	mux.HandleFunc("GET /transaction", p.transaction)
	mux.HandleFunc("GET /records", p.records)
	mux.HandleFunc("GET /record", atMost(maxReads, p.record))
	mux.HandleFunc("GET /outbox", p.outbox)
	mux.HandleFunc("GET /broker", p.brokerState)
	mux.HandleFunc("PUT /broker", p.switchBroker)
	mux.HandleFunc("GET /state", p.state)
	mux.HandleFunc("GET /registrations", p.listRegistrations)
	mux.HandleFunc("GET /registration", p.registration)
	mux.HandleFunc("GET /metrics", p.listMetrics)
	mux.HandleFunc("GET /way", p.way)
	mux.HandleFunc("POST /send", atMost(maxOrders, p.send))
	mux.HandleFunc("POST /resend", atMost(maxResends, p.resend))
	mux.HandleFunc("GET /events", atMost(maxStreams, p.events))
	mux.Handle("GET /", page())
	return onlyLoopback(http.NewCrossOriginProtection().Handler(mux))
}
