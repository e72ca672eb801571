package kafka

import (
	"context"
	"fmt"

	"userrelay/handler/delivery"
)

// Close refuses new records and waits for those that it has, until ctx ends. Then it lets go of everything: callers that
// still wait get an answer, and nothing of the producer is left when it returns.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	again := p.closed
	if !again && p.records == 0 {
		close(p.finished)
	}
	p.closed = true
	p.mu.Unlock()
	if again {
		select {
		case <-p.gone:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for the end: %w", ctx.Err())
		}
	}
	var err error
	select {
	case <-p.finished:
	case <-ctx.Done():
		err = fmt.Errorf("wait for records under way: %w", ctx.Err())
	}
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.end()
	p.background.Wait()
	p.lanes.Wait()
	p.failWaiting(&delivery.Error{Class: delivery.Unavailable, Op: "produce", Err: errClosed})
	p.letGo()
	close(p.gone)
	return err
}

// letGo closes the connections.
func (p *Producer) letGo() {
	p.end()
	p.transport.CloseIdleConnections()
	p.conns.close()
}
