// Package peek reads the queues of the outbox without removing messages.
package peek

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"

	"userrelay/handler/outbox"
	"userrelay/local/portal"
)

// atOnce is the largest number of messages that the queue service shows, the oldest ones.
const atOnce = 32

// Queues is the outbox's queue and its poison queue. It implements [portal.Outbox].
type Queues struct {
	waiting, poison *azqueue.QueueClient
	transport       *http.Transport
	account         outbox.Account
}

// New returns the two queues of a storage account, which need not exist yet. The error does not quote the connection
// string.
func New(connection, queue, poison string) (*Queues, error) {
	q := &Queues{transport: &http.Transport{IdleConnTimeout: time.Minute}}
	options := &azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: q.transport},
		Retry:     policy.RetryOptions{MaxRetries: -1}, // the next look is the next try
	}}
	var err, err2 error
	q.waiting, err = azqueue.NewQueueClientFromConnectionString(connection, queue, options)
	q.poison, err2 = azqueue.NewQueueClientFromConnectionString(connection, poison, options)
	if errors.Join(err, err2) != nil {
		return nil, errors.New("not a connection string of a storage account")
	}
	if q.account, err = outbox.ParseConnectionString(connection); err != nil {
		return nil, fmt.Errorf("read the connection string: %w", err)
	}
	return q, nil
}

// Close closes connections.
func (q *Queues) Close() { q.transport.CloseIdleConnections() }

// Waiting implements [portal.Outbox].
func (q *Queues) Waiting(ctx context.Context) (portal.QueueLook, error) { return look(ctx, q.waiting) }

// Poisoned implements [portal.Outbox].
func (q *Queues) Poisoned(ctx context.Context) (portal.QueueLook, error) { return look(ctx, q.poison) }

// Resend implements [portal.Outbox]. It does what `handler -poison resend` does.
func (q *Queues) Resend(ctx context.Context) (sent, left int, err error) {
	queue, err := outbox.New(outbox.Config{Account: q.account, Profile: true}) //nolint:contextcheck // it ends with Close
	if err != nil {
		return 0, 0, fmt.Errorf("open the queue: %w", err)
	}
	defer queue.Close()
	err = queue.Resend(ctx, func(p outbox.Poisoned) {
		if p.Sent {
			sent++
		} else {
			left++
		}
	})
	if err != nil {
		return sent, left, fmt.Errorf("send again: %w. %s", err, outbox.Advice(err))
	}
	return sent, left, nil
}

// look returns the content of a queue. A missing queue is empty.
func look(ctx context.Context, queue *azqueue.QueueClient) (portal.QueueLook, error) {
	properties, err := queue.GetProperties(ctx, nil)
	if err != nil {
		return portal.QueueLook{}, readable(err)
	}
	seen := portal.QueueLook{}
	if n := properties.ApproximateMessagesCount; n != nil {
		seen.Count = int(*n)
	}
	if seen.Count == 0 {
		return seen, nil
	}
	number := int32(atOnce)
	messages, err := queue.PeekMessages(ctx, &azqueue.PeekMessagesOptions{NumberOfMessages: &number})
	if err != nil {
		return portal.QueueLook{}, readable(err)
	}
	for _, m := range messages.Messages {
		message := portal.QueueMessage{}
		if m.MessageID != nil {
			message.ID = *m.MessageID
		}
		if m.MessageText != nil {
			message.Text = *m.MessageText
		}
		if m.InsertionTime != nil {
			message.Inserted = *m.InsertionTime
		}
		seen.Messages = append(seen.Messages, message)
	}
	seen.Count = max(seen.Count, len(seen.Messages)) // it was counted a moment before
	return seen, nil
}

// readable removes the URL from an error for display, because it may hold a signature. A missing queue is not an
// error.
func readable(err error) error {
	if queueerror.HasCode(err, queueerror.QueueNotFound) {
		return nil
	}
	if answered, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return fmt.Errorf("the queue service answered %d %s", answered.StatusCode, answered.ErrorCode)
	}
	return errors.New("the queue service cannot be reached")
}
