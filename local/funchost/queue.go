package funchost

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"
)

// message is a message that was received from a queue and not yet deleted.
type message struct {
	id           string
	receipt      string // of the last receiver; changes when its invisibility does
	text         string // as in the queue
	dequeueCount int64
	inserted     time.Time
	expires      time.Time
	nextVisible  time.Time
}

// storageQueue is a queue of Azure Storage, and its poison queue.
type storageQueue struct {
	queue  *azqueue.QueueClient
	poison *azqueue.QueueClient // nil: there is none
}

// A call to the queue service is tried six times within the 25 seconds that Azure's library for .NET needs for that,
// with the same time limit for each answer. The pauses of Go's library are 1, 3, 7, 15 and 31 times the first one.
// Both libraries vary them at random.
const (
	queueTryTimeout = 100 * time.Second
	queueRetries    = 5
	queueRetryDelay = 425 * time.Millisecond
)

// errService is a failure of the service itself.
var errService = errors.New("the queue service failed")

func newStorageQueue(fn queueFunction, connection string, transport http.RoundTripper) (*storageQueue, error) {
	options := &azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: transport},
		Retry:     policy.RetryOptions{MaxRetries: queueRetries, TryTimeout: queueTryTimeout, RetryDelay: queueRetryDelay},
	}}
	open := func(name string) (*azqueue.QueueClient, error) {
		client, err := azqueue.NewQueueClientFromConnectionString(connection, name, options)
		if err != nil {
			// The library's error may quote the key.
			return nil, fmt.Errorf("the setting %s does not hold a connection string of a storage account", fn.setting)
		}
		return client, nil
	}
	q := &storageQueue{}
	var err error
	if q.queue, err = open(fn.queue); err != nil {
		return nil, err
	}
	if name := fn.poisonQueue(); name != "" {
		q.poison, err = open(name)
	}
	return q, err
}

// take receives at most n messages and hides them for a while. A missing queue has none.
func (q *storageQueue) take(ctx context.Context, n int, hidden time.Duration) ([]message, error) {
	number, seconds := int32(n), wholeSeconds(hidden)
	answer, err := q.queue.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: &number, VisibilityTimeout: &seconds})
	if queueerror.HasCode(err, queueerror.QueueNotFound, queueerror.QueueBeingDeleted, queueerror.QueueDisabled) {
		return nil, nil
	}
	if answered, ok := errors.AsType[*azcore.ResponseError](err); ok && answered.StatusCode >= http.StatusInternalServerError {
		return nil, fmt.Errorf("%w: take messages: %w", errService, withoutURL(err))
	}
	if err != nil {
		return nil, fmt.Errorf("take messages: %w", withoutURL(err))
	}
	var messages []message
	for _, m := range answer.Messages {
		messages = append(messages, message{
			id: value(m.MessageID), receipt: value(m.PopReceipt), text: value(m.MessageText), dequeueCount: value(m.DequeueCount),
			inserted: value(m.InsertionTime), expires: value(m.ExpirationTime), nextVisible: value(m.TimeNextVisible),
		})
	}
	return messages, nil
}

// hide makes a message invisible from now on for a time, which may be 0.
func (q *storageQueue) hide(ctx context.Context, m *message, hidden time.Duration) error {
	seconds := wholeSeconds(hidden)
	answer, err := q.queue.UpdateMessage(ctx, m.id, m.receipt, m.text, &azqueue.UpdateMessageOptions{VisibilityTimeout: &seconds})
	if err != nil {
		return ofOthers(err, "change a message's invisibility")
	}
	m.receipt = value(answer.PopReceipt)
	return nil
}

// remove deletes a message.
func (q *storageQueue) remove(ctx context.Context, m *message) error {
	_, err := q.queue.DeleteMessage(ctx, m.id, m.receipt, nil)
	return ofOthers(err, "delete a message")
}

// copyToPoison puts the message's text into the poison queue, which it creates if necessary. The copy expires after
// the default time of 7 days.
func (q *storageQueue) copyToPoison(ctx context.Context, m *message) error {
	_, err := q.poison.EnqueueMessage(ctx, m.text, nil)
	if queueerror.HasCode(err, queueerror.QueueNotFound) {
		if _, err = q.poison.Create(ctx, nil); err == nil {
			_, err = q.poison.EnqueueMessage(ctx, m.text, nil)
		}
	}
	if err != nil {
		return fmt.Errorf("copy a message to the poison queue: %w", withoutURL(err))
	}
	return nil
}

// ofOthers wraps an error, except errors that say that another receiver has the message or that it is gone.
func ofOthers(err error, doing string) error {
	if err == nil || queueerror.HasCode(err, queueerror.PopReceiptMismatch, queueerror.MessageNotFound,
		queueerror.QueueNotFound, queueerror.QueueBeingDeleted, queueerror.QueueDisabled) {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, withoutURL(err))
}

// withoutURL removes the URL from an error, because it may hold a signature.
func withoutURL(err error) error {
	if answered, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return fmt.Errorf("the queue service answered %d %s", answered.StatusCode, answered.ErrorCode)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}

// wholeSeconds rounds to the unit of the service.
func wholeSeconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
