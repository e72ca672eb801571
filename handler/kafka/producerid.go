package kafka

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// newProducerID asks the broker for a producer id, until ctx ends, which has a deadline. What cluster gives it is asked with
// the same round trip, unless it is known already. The error is a code where the broker refuses.
func (l *link) newProducerID(ctx context.Context, topic string) (producerID, error) {
	deadline, _ := ctx.Deadline()
	for backoff := firstBackoff; ; backoff = longer(backoff) {
		r, err := l.askProducerID(deadline, topic)
		if err != nil {
			return producerID{}, err
		}
		switch c := code(r.ErrorCode); {
		case c == codeNone:
			return producerID{r.ProducerID, r.ProducerEpoch}, nil
		case c != codeCoordinatorLoading || time.Until(deadline) < backoff:
			return producerID{}, c
		}
		wait(ctx, backoff) // a broker that has just started says so for a moment
	}
}

func (l *link) askProducerID(deadline time.Time, topic string) (*initproducerid.Response, error) {
	if err := l.begin(deadline); err != nil {
		return nil, err
	}
	var about request
	asks := l.view == nil
	if asks {
		var err error
		if about, err = l.sendMetadata(topic); err != nil {
			return nil, err
		}
	}
	r, err := l.send(&initproducerid.Request{ProducerID: -1, ProducerEpoch: -1})
	if err != nil {
		return nil, err
	}
	if asks {
		if l.view, err = l.receiveMetadata(about); err != nil {
			return nil, err
		}
	}
	return answerAs[*initproducerid.Response](l.receive(r))
}
