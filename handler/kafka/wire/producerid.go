package wire

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// ProducerID identifies a batch's producer and the batch's position in its sequence. Of two batches with the same one
// a broker stores only one (KIP-98).
type ProducerID struct {
	ID    int64 // -1: none; the broker stores both
	Epoch int16
}

// NoProducerID is for brokers without idempotent producers: a repeat may make a copy.
func NoProducerID() ProducerID { return ProducerID{ID: -1, Epoch: -1} }

// Pauses between attempts: a broker that has just started cannot assign ids for a moment.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// NewProducerID requests a producer id from the broker, and repeats that until ctx ends, which must have a deadline.
// It requests the cluster's metadata with the same round trip, unless they are known already. If the broker refuses
// the error is a Code.
func (c *Conn) NewProducerID(ctx context.Context, topic string) (ProducerID, error) {
	deadline, _ := ctx.Deadline()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		r, err := c.askProducerID(deadline, topic)
		if err != nil {
			return ProducerID{}, err
		}
		switch code := Code(r.ErrorCode); {
		case code == CodeNone:
			return ProducerID{r.ProducerID, r.ProducerEpoch}, nil
		case code != codeCoordinatorLoading || time.Until(deadline) < pause:
			return ProducerID{}, code
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ProducerID{}, ctx.Err()
		}
	}
}

func (c *Conn) askProducerID(deadline time.Time, topic string) (*initproducerid.Response, error) {
	if err := c.Begin(deadline); err != nil {
		return nil, err
	}
	var about Request
	asks := c.View == nil
	if asks {
		var err error
		if about, err = c.SendMetadata(topic); err != nil {
			return nil, err
		}
	}
	r, err := c.Send(&initproducerid.Request{ProducerID: -1, ProducerEpoch: -1})
	if err != nil {
		return nil, err
	}
	if asks {
		if c.View, err = c.ReceiveMetadata(about); err != nil {
			return nil, err
		}
	}
	return AnswerAs[*initproducerid.Response](c.Receive(r))
}
