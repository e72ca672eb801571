// Package kafka stores records in one Kafka topic.
//
// It promises that Produce returns a record's place only after every in-sync replica has it (acks=all); that its own
// repeats make no copies; and that every error says whether the record may be stored nevertheless (delivery.Class). It
// never returns or logs text of a broker.
//
// A record is sent at once, in one request with all others that wait for the same broker (group commit). Each broker
// that leads partitions has a queue, and lanes that empty it: each lane is an idempotent producer with its own
// connection and one request in flight (KIP-98). Records that are certainly not stored go back into the queue. Records
// that may be stored are repeated with the same bytes, for as long as the same cluster answers.
//
// The path of a record: queue.go, dispatcher.go (the order of sending), lane.go (an attempt), batch.go (its verdict),
// settle.go (the consequences), repeat.go (after an unknown verdict). keeper.go refreshes the metadata, and keeps
// lanes connected. The package wire has the connections and the meaning of answers; the package diagnose examines a
// cluster for an operator.
package kafka

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/sasl"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

const (
	// The time limit of an attempt, and how long a broker may wait for its replicas within it. If a broker is slower,
	// the batch is repeated, which makes no copy.
	attemptTimeout = 3 * time.Second
	brokerTimeout  = 1500 * time.Millisecond
	// Event Hubs works on a request for 20 s at least, whatever it is asked ("Apache Kafka client configurations",
	// request.timeout.ms).
	eventHubsAttemptTimeout = 25 * time.Second
	eventHubsBrokerTimeout  = 20 * time.Second
)

// Config says which topic of which cluster to write to.
type Config struct {
	Brokers  []string // host:port, any of the cluster's
	Topic    string
	ClientID string
	TLS      *tls.Config // nil: plain connections
	// CurrentTLS returns the TLS configuration for each new connection, so that renewed certificates are used. nil:
	// TLS is used for all.
	CurrentTLS func() *tls.Config
	SASL       sasl.Mechanism   // nil: no login
	Log        *slog.Logger     // for changes of the connection's state; nil: none
	Dial       wire.DialFunc    // opens connections to brokers, below TLS; nil: TCP
	Profiles   bool             // records may have profiles, and be as large as registration.MaxRecord; for a diagnosis
	Now        func() time.Time // the wall clock, for the records' timestamps; nil: the system's
}

// Producer writes to one topic. It is safe for use by several goroutines.
type Producer struct {
	config     Config
	dialer     *wire.Dialer
	cluster    *wire.Cluster
	dispatcher *dispatcher
	keeper     *keeper
	report     *report

	eventHubs                     bool
	attemptTimeout, brokerTimeout time.Duration

	items     sync.Pool
	plainOnce sync.Once

	life       context.Context //nolint:containedctx // lasts from New to Close; lanes and keeper end with it
	end        context.CancelFunc
	lanes      sync.WaitGroup
	background sync.WaitGroup
	gone       chan struct{} // closed when Close has released everything
}

// BrokerTimeout is how long a broker may wait for its replicas before it answers.
func (c Config) BrokerTimeout() time.Duration {
	if c.EventHubs() {
		return eventHubsBrokerTimeout
	}
	return brokerTimeout
}

// Wire returns the configuration of connections to the brokers.
func (c Config) Wire() wire.Config {
	secure := c.CurrentTLS
	if secure == nil && c.TLS != nil {
		secure = func() *tls.Config { return c.TLS }
	}
	return wire.Config{ClientID: c.ClientID, TLS: secure, SASL: c.SASL, Dial: c.Dial}
}

// New returns a producer, which begins to connect. The caller must close it.
func New(c Config) *Producer {
	p := newProducer(c)
	p.begin()
	return p
}

// newProducer returns a producer without goroutines and connections.
func newProducer(c Config) *Producer {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Producer{
		config:         c,
		dialer:         wire.NewDialer(c.Wire()),
		report:         newReport(c.Log, c.Topic),
		attemptTimeout: attemptTimeout,
		brokerTimeout:  c.BrokerTimeout(),
		gone:           make(chan struct{}),
	}
	if p.config.Now == nil {
		p.config.Now = time.Now
	}
	if p.eventHubs = c.EventHubs(); p.eventHubs {
		p.attemptTimeout = eventHubsAttemptTimeout
	}
	p.items.New = func() any { return &item{done: make(chan result, 1)} }
	p.life, p.end = context.WithCancel(context.Background())
	p.cluster = wire.NewCluster(c.Brokers, c.Topic, p.dialer)
	p.dispatcher = newDispatcher(
		func(l *lane) { p.lanes.Go(func() { l.run(p.life) }) },
		func(b *broker) *lane { return &lane{p: p, b: b} },
	)
	p.keeper = newKeeper(p)
	return p
}

func (p *Producer) begin() {
	p.background.Go(func() { p.keeper.keep(p.life) })
	p.background.Go(func() { p.keepTime(p.life) })
	p.background.Go(func() { p.keeper.warm(p.life) })
	if o, ok := p.config.SASL.(*oauthBearer); ok {
		p.background.Go(func() { o.tokens.Renew(p.life) })
	}
}

// keepTime calls dispatcher.tick when an action is due.
func (p *Producer) keepTime(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			p.dispatcher.tick(time.Now())
		case <-p.dispatcher.alarm:
		case <-ctx.Done():
			return
		}
		timer.Stop()
		if due := p.dispatcher.due(); !due.IsZero() {
			timer.Reset(time.Until(due))
		}
	}
}

// EventHubs says whether the brokers are those of Azure Event Hubs, in any of Azure's clouds.
func (c Config) EventHubs() bool {
	for _, b := range c.Brokers {
		host, _, _ := strings.Cut(strings.ToLower(b), ":")
		for _, suffix := range []string{".servicebus.windows.net", ".servicebus.usgovcloudapi.net", ".servicebus.chinacloudapi.cn"} {
			if strings.HasSuffix(host, suffix) {
				return true
			}
		}
	}
	return false
}

// Produce stores the record and returns its partition and offset. The error is a *delivery.Error. If ctx ends first,
// its class says whether the record was still in a queue (Unavailable: it is not stored) or already sent
// (UnknownOutcome). In the second case Late returns the final outcome, at the latest giveUpAfter and one attempt
// later.
func (p *Producer) Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	if err := ctx.Err(); err != nil {
		return delivery.RecordMetadata{}, wire.Fail("produce", err, false)
	}
	it, ok := p.items.Get().(*item)
	if !ok {
		panic("kafka: the pool holds items only")
	}
	if refused := p.dispatcher.add(it, r); refused != nil {
		return delivery.RecordMetadata{}, refused
	}
	select {
	case res := <-it.done:
		return p.answer(it, res)
	case <-ctx.Done():
	}
	queued, why := p.dispatcher.cancel(it)
	switch {
	case queued && why != nil:
		return delivery.RecordMetadata{}, why
	case queued:
		return delivery.RecordMetadata{}, wire.Fail("wait for the broker", ctx.Err(), false)
	}
	select {
	case res := <-it.done: // it came in between
		return p.answer(it, res)
	default:
	}
	err := wire.Fail("wait for the answer", ctx.Err(), true)
	err.Late = it.late
	return delivery.RecordMetadata{}, err
}

// late waits for the result of an item whose caller has given up.
func (it *item) late(ctx context.Context) (delivery.RecordMetadata, error) {
	select {
	case res := <-it.done:
		return res.unpack()
	default:
	}
	select {
	case res := <-it.done:
		return res.unpack()
	case <-ctx.Done():
		return delivery.RecordMetadata{}, wire.Fail("wait for the answer", ctx.Err(), true)
	}
}

// answer returns the result and recycles the item.
func (p *Producer) answer(it *item, res result) (delivery.RecordMetadata, error) {
	*it = item{done: it.done}
	p.items.Put(it)
	return res.unpack()
}

// settle answers the callers of batches whose outcome is known, and returns the others.
func (p *Producer) settle(l *lane, batches []batch) (unresolved []batch) {
	s := p.dispatcher.settle(l, batches, time.Now())
	for i := range s.done {
		p.finish(&s.done[i])
	}
	if s.trouble != nil {
		p.report.trouble(s.trouble)
	}
	if s.stored {
		p.report.stored(p.dispatcher.waiting)
	}
	return s.unresolved
}

// finish answers the callers of a batch.
func (p *Producer) finish(b *batch) {
	switch b.verdict {
	case stored:
		for i, it := range b.items {
			offset := b.base
			if offset >= 0 { // a broker that recognises a repeat may not know its offset, and answers -1
				offset += int64(i)
			}
			it.done <- result{metadata: delivery.RecordMetadata{
				Topic: p.config.Topic, Partition: int(b.partition), Offset: offset, Timestamp: b.time, Throttled: b.throttled,
			}}
		}
	case failed:
		answerAll(b.items, b.err())
	case unknown, requeue, bisect:
	}
	clear(b.items)
}

// answerAll sends the callers of items an error.
func answerAll(items []*item, why *delivery.Error) {
	for _, it := range items {
		it.done <- result{err: why}
	}
}

// unable takes back a lane that cannot connect.
func (p *Producer) unable(l *lane, busy bool, cause error) {
	trouble := wire.Fail("connect to the broker", cause, false)
	p.keeper.ask()
	refused, told := p.dispatcher.unable(l, busy, trouble, time.Now())
	if told && p.life.Err() == nil {
		p.report.trouble(trouble)
	}
	answerAll(refused, trouble)
}

func (p *Producer) warnPlain() {
	p.config.Log.Warn("The Kafka broker does not support idempotent producers (InitProducerId): after a lost answer the outcome is unknown")
}
