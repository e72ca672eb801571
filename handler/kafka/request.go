package kafka

import (
	"io"
	"sync/atomic"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// initRequest is initproducerid.Request, field for field, but sent to a broker of our choice. The original asks for a
// transaction coordinator first, for which a broker creates a topic of its own.
type initRequest struct {
	_ struct{} `kafka:"min=v2,max=v4,tag"`

	TransactionalID      string `kafka:"min=v0,max=v4,nullable"`
	TransactionTimeoutMs int32  `kafka:"min=v0,max=v4"`
	ProducerID           int64  `kafka:"min=v3,max=v4"`
	ProducerEpoch        int16  `kafka:"min=v3,max=v4"`

	leader int32
}

func (*initRequest) ApiKey() protocol.ApiKey { return protocol.InitProducerId } //nolint:revive,staticcheck // kafka-go's name

func (r *initRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return brokerOf(c, r.leader)
}

// metadataRequest asks for one topic's metadata. kafka-go answers a metadata.Request of its own from memory, and makes
// assumptions about every answer of that type; so this one does its own exchange.
type metadataRequest struct {
	topic    string
	clientID string
	to       int32 // nobody: any broker

	version int16
}

// metadataAnswer is what comes of it.
type metadataAnswer struct{ *metadata.Response }

func (*metadataRequest) ApiKey() protocol.ApiKey { return protocol.Metadata } //nolint:revive,staticcheck // kafka-go's name

func (r *metadataRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	if r.to == nobody {
		return protocol.Broker{ID: nobody}, nil
	}
	return brokerOf(c, r.to)
}

// Required tells the versions that both sides know.
func (r *metadataRequest) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = versions[protocol.Metadata]
	return true
}

// RawExchange sends the request and reads its answer. Nothing else is under way on the connection.
func (r *metadataRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const correlation = 1
	m, err := protocol.RoundTrip(rw, r.version, correlation, r.clientID, &metadata.Request{TopicNames: []string{r.topic}})
	if err != nil {
		return nil, err
	}
	answer, ok := m.(*metadata.Response)
	if !ok {
		return nil, errAnswer
	}
	return metadataAnswer{answer}, nil
}

// offsetsRequest is listoffsets.Request, field for field, but sent to a broker of our choice.
type offsetsRequest struct {
	ReplicaID      int32                      `kafka:"min=v1,max=v5"`
	IsolationLevel int8                       `kafka:"min=v2,max=v5"`
	Topics         []listoffsets.RequestTopic `kafka:"min=v1,max=v5"`

	to int32
}

func (*offsetsRequest) ApiKey() protocol.ApiKey { return protocol.ListOffsets } //nolint:revive,staticcheck // kafka-go's name

func (r *offsetsRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return brokerOf(c, r.to)
}

// brokerOf finds a broker in kafka-go's layout.
func brokerOf(c protocol.Cluster, id int32) (protocol.Broker, error) {
	if b, ok := c.Brokers[id]; ok {
		return b, nil
	}
	return protocol.Broker{}, protocol.ErrNoLeader
}

// produceRequest is rawproduce.Request, field for field, that knows whether it may have been sent.
type produceRequest struct {
	TransactionalID string                    `kafka:"min=v3,max=v8,nullable"`
	Acks            int16                     `kafka:"min=v0,max=v8"`
	Timeout         int32                     `kafka:"min=v0,max=v8"`
	Topics          []rawproduce.RequestTopic `kafka:"min=v0,max=v8"`

	to    int32 // broker
	state atomic.Int32
}

// States of a request: it is either begun or withdrawn, and stays so.
const (
	begun     = 1
	withdrawn = 2
)

func (*produceRequest) ApiKey() protocol.ApiKey { return protocol.Produce } //nolint:revive,staticcheck // kafka-go's name

func (*produceRequest) TypeKey() protocol.OverrideTypeKey { return protocol.RawProduceOverride }

func (r *produceRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return brokerOf(c, r.to)
}

// Prepare is called by the connection's goroutine, immediately before it writes the request. One that has been withdrawn
// cannot be held back here; it is made empty.
func (r *produceRequest) Prepare(int16) {
	if !r.state.CompareAndSwap(0, begun) {
		r.Topics = nil
	}
}

// withdraw returns true if the request has not begun; it will not then.
func (r *produceRequest) withdraw() bool { return r.state.CompareAndSwap(0, withdrawn) }
