package kafka

import (
	"context"
	"fmt"

	"userrelay/handler/delivery"
)

// Close refuses new records and waits for the outcome of those that it has, until ctx ends. Then it releases
// everything: waiting callers get an error, and all goroutines and connections have ended when it returns.
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
		err = fmt.Errorf("wait for records in flight: %w", ctx.Err())
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

// letGo cancels everything in progress and closes the connections, because a context does not end a blocked Read.
func (p *Producer) letGo() {
	p.end()
	p.dialer.Close()
}
