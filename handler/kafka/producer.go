// Package kafka stores records in one Kafka topic.
//
// It promises that Produce returns a record's place only after every in-sync replica has it (acks=all); that its own
// repeats make no copies; and that every error says whether the record may be stored all the same (delivery.Class). No
// text of a broker leaves it.
//
// A record is sent at once, in a request with all that wait for the same broker (group commit). There is a queue for each
// broker that leads partitions, and lanes that empty it: each lane is an idempotent producer with one request under way
// (KIP-98). What is certainly not stored goes back into the queue; what may be is sent again in the same bytes.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// Bounds of what waits or is under way. Beyond them a record is refused at once.
const (
	maxRecords = 10_000
	maxBytes   = 32 << 20
)

// Times.
const (
	firstBackoff = 20 * time.Millisecond
	maxBackoff   = 500 * time.Millisecond
	// A batch whose outcome is unknown is sent again for this long. Leader changes take 3 to 13 s.
	giveUpAfter = 60 * time.Second
	// One attempt, and how long a broker may wait for its replicas in it. A broker that is slower than that is asked again
	// for the same batch, which makes no copy.
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
	TLS      *tls.Config    // nil: plain connections
	SASL     sasl.Mechanism // nil: no login
	Log      *slog.Logger   // told of the connection's state; nil: nobody
	// Dial opens a connection to a broker, below TLS. nil: TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Producer writes to one topic. It is safe for use by several goroutines.
type Producer struct {
	topic     string
	addr      net.Addr
	transport *kafkago.Transport
	client    *kafkago.Client
	conns     *connections
	log       *slog.Logger

	attemptTimeout, brokerTimeout time.Duration

	plain   atomic.Bool   // the broker knows no idempotent producers
	refresh chan struct{} // takes one: the keeper should look at the cluster anew
	items   sync.Pool

	life       context.Context //nolint:containedctx // from New to Close; lanes and keeper end with it
	end        context.CancelFunc
	lanes      sync.WaitGroup
	background sync.WaitGroup

	gone chan struct{} // closed when Close has let go of everything

	mu         sync.Mutex
	leaders    []int32       // by partition; nobody where there is none; nil while not known
	changed    chan struct{} // closed when other leaders are known
	ids        []int         // 0, 1, … as many as there are partitions
	queues     map[int32]*queue
	holds      map[int32]*hold // by partition
	records    int             // in queues and lanes
	bytes      int
	trouble    *delivery.Error // why the topic cannot be used, where an operator must act
	told       string          // what was last said of that
	complained complaint       // what was last said of a broker
	closed     bool
	ended      bool          // no lane starts any more
	finished   chan struct{} // closed when closed and records is 0
}

// New returns a producer, which begins to connect. It must be closed.
func New(c Config) *Producer {
	p := newProducer(c)
	p.begin(c)
	return p
}

func (p *Producer) begin(c Config) {
	p.background.Go(func() { p.keep(p.life) })
	if o, ok := c.SASL.(*oauthBearer); ok {
		p.background.Go(func() { o.tokens.Renew(p.life) })
	}
}

// newProducer returns a producer that does nothing yet.
func newProducer(c Config) *Producer {
	p := &Producer{
		topic:          c.Topic,
		addr:           kafkago.TCP(c.Brokers...),
		conns:          newConnections(c.TLS, c.Dial),
		log:            c.Log,
		attemptTimeout: attemptTimeout,
		brokerTimeout:  brokerTimeout,
		refresh:        make(chan struct{}, 1),
		changed:        make(chan struct{}),
		queues:         map[int32]*queue{},
		holds:          map[int32]*hold{},
		finished:       make(chan struct{}),
		gone:           make(chan struct{}),
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if eventHubs(c.Brokers) {
		p.attemptTimeout, p.brokerTimeout = eventHubsAttemptTimeout, eventHubsBrokerTimeout
	}
	p.items.New = func() any { return &item{done: make(chan result, 1)} }
	p.life, p.end = context.WithCancel(context.Background())
	p.transport = &kafkago.Transport{
		Context:     p.life,
		Dial:        p.conns.dial,
		DialTimeout: connectTimeout,
		IdleTimeout: idleTimeout,
		MetadataTTL: metadataTTL,
		// Without a list kafka-go asks for all topics; Event Hubs closes the connection of an identity that may see only one.
		MetadataTopics: []string{c.Topic},
		ClientID:       c.ClientID,
		SASL:           c.SASL,
	}
	p.client = &kafkago.Client{Addr: p.addr, Transport: p.transport}
	return p
}

// eventHubs says whether the brokers are those of Azure Event Hubs, in any of Azure's clouds.
func eventHubs(brokers []string) bool {
	for _, b := range brokers {
		host, _, _ := strings.Cut(strings.ToLower(b), ":")
		for _, suffix := range []string{".servicebus.windows.net", ".servicebus.usgovcloudapi.net", ".servicebus.chinacloudapi.cn"} {
			if strings.HasSuffix(host, suffix) {
				return true
			}
		}
	}
	return false
}

func (p *Producer) idempotent() bool { return !p.plain.Load() }

// Produce stores the record and returns its place. The error is a *delivery.Error. When ctx ends first, it says whether
// the record was still in a queue (Unavailable: it is not stored) or on its way (UnknownOutcome). In the latter case Late
// tells how it ended, which it does giveUpAfter and one attempt later at the latest.
func (p *Producer) Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	it, refused := p.enqueue(ctx, r)
	if refused != nil {
		return delivery.RecordMetadata{}, refused
	}
	select {
	case res := <-it.done:
		return p.answer(it, res)
	case <-ctx.Done():
	}
	p.mu.Lock()
	if it.state == waiting {
		it.queue.remove(it)
		p.forget(it)
		trouble := p.trouble
		p.mu.Unlock()
		if trouble != nil {
			return delivery.RecordMetadata{}, trouble
		}
		return delivery.RecordMetadata{}, fail("wait for the broker", ctx.Err(), false)
	}
	it.state = left
	p.mu.Unlock()
	select {
	case res := <-it.done: // it came in between
		return p.answer(it, res)
	default:
	}
	err := fail("wait for the answer", ctx.Err(), true)
	err.Late = it.late
	return delivery.RecordMetadata{}, err
}

// late waits for the result of an item whose caller has left.
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
		return delivery.RecordMetadata{}, fail("wait for the answer", ctx.Err(), true)
	}
}

// answer returns the result and gives the item back.
func (p *Producer) answer(it *item, res result) (delivery.RecordMetadata, error) {
	*it = item{done: it.done}
	p.items.Put(it)
	return res.unpack()
}

// enqueue takes a record in.
func (p *Producer) enqueue(ctx context.Context, r registration.Record) (*item, error) {
	if err := ctx.Err(); err != nil {
		return nil, fail("produce", err, false)
	}
	it, ok := p.items.Get().(*item)
	if !ok {
		panic("kafka: the pool holds items only")
	}
	it.record, it.size = r, r.Size()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaders != nil {
		it.partition = p.partitionOf(r.Key)
	}
	switch why := p.refusal(it.partition); {
	case p.closed:
		return nil, fail("produce", errClosed, false)
	case why != nil:
		return nil, why
	case p.records+1 > maxRecords, p.bytes+it.size > maxBytes:
		return nil, fail("produce", errFull, false)
	}
	p.records++
	p.bytes += it.size
	p.place(it, (*queue).pushBack)
	return it, nil
}

var (
	errClosed = errors.New("the producer is closed")
	errFull   = errors.New("the queue is full")
)

// forget takes an item off the books. p.mu is held.
func (p *Producer) forget(it *item) {
	p.records--
	p.bytes -= it.size
	if p.closed && p.records == 0 {
		close(p.finished)
	}
}

// took notes how long an answer took.
func (p *Producer) took(q *queue, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.roundTrip.add(d, time.Now())
}

func fail(op string, err error, sent bool) *delivery.Error {
	return &delivery.Error{Class: classify(err, sent), Op: op, Err: fmt.Errorf("%s: %w", op, err)}
}
