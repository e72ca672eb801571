package wire

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// ProducerID says to a broker which producer made a batch, and where in its sequence the batch is. A broker keeps one of
// two batches that have the same (KIP-98).
type ProducerID struct {
	ID    int64 // -1: none, the broker keeps both
	Epoch int16
}

// NoProducerID is for brokers that know no ids: a repeat may make a copy.
func NoProducerID() ProducerID { return ProducerID{ID: -1, Epoch: -1} }

// Pauses between tries: a broker that has just started hands out no ids for a moment.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// NewProducerID asks the broker for a producer id, until ctx ends, which has a deadline. What cluster gives it is asked with
// the same round trip, unless it is known already. The error is a code where the broker refuses.
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
