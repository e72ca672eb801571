package kafka

import (
	"context"
	"fmt"

	"userrelay/handler/delivery"
)

// Close refuses new records and waits for those that it has, until ctx ends. Then it lets go of everything: callers that
// still wait get an answer, and nothing of the producer is left when it returns.
func (p *Producer) Close(ctx context.Context) error {
	if p.dispatcher.close() {
		select {
		case <-p.gone:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for the end: %w", ctx.Err())
		}
	}
	var err error
	select {
	case <-p.dispatcher.finished:
	case <-ctx.Done():
		err = fmt.Errorf("wait for records under way: %w", ctx.Err())
	}
	p.dispatcher.stop()
	p.letGo()
	p.background.Wait()
	p.lanes.Wait()
	waiting, idle := p.dispatcher.clear()
	for _, l := range idle {
		l.hangUp()
	}
	answerAll(waiting, &delivery.Error{Class: delivery.Unavailable, Op: "produce", Err: errClosed})
	close(p.gone)
	return err
}

// letGo ends what is under way, and closes the connections: a context does not reach a blocked Read.
func (p *Producer) letGo() {
	p.end()
	p.dialer.Close()
}
