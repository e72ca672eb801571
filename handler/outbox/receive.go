package outbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/delivery"
)

// Receive returns at most most messages, never more than 32, and hides them for a time, in whole seconds.
func (q *Queue) Receive(ctx context.Context, most int, hidden time.Duration) ([]delivery.Received, error) {
	number, hold := int32(min(max(most, 1), 32)), int32(hidden/time.Second)
	until := time.Now().Add(hidden)
	resp, err := q.messages.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: &number, VisibilityTimeout: &hold})
	if codeOf(err) == "QueueNotFound" {
		return nil, nil // nothing was ever put into it
	}
	if err != nil {
		return nil, wrap("receive messages", err)
	}
	messages := make([]delivery.Received, 0, len(resp.Messages))
	for _, m := range resp.Messages {
		if m == nil || m.MessageID == nil || m.PopReceipt == nil {
			continue // of something that is no queue; what is one shows it again
		}
		messages = append(messages, delivery.Received{
			Kept:    delivery.Kept{Queue: QueueName, ID: *m.MessageID, Receipt: *m.PopReceipt},
			Message: decode(valueOf(m.MessageText)), Tries: valueOf(m.DequeueCount), Until: until,
		})
	}
	if len(messages) > int(number) { // the caller has room for no more
		messages = messages[:number]
	}
	return messages, nil
}

// decode decodes a message's text. Text that is not base64 was not written by this program, and is returned unchanged.
func decode(text string) []byte {
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		return b
	}
	return []byte(text)
}

// Count returns the approximate number of messages, including hidden ones.
func (q *Queue) Count(ctx context.Context) (int, error) {
	n, err := count(ctx, q.messages)
	return n, wrap("count the messages", err)
}

// CountPoisoned does the same for the poison queue.
func (q *Queue) CountPoisoned(ctx context.Context) (int, error) {
	n, err := count(ctx, q.poison)
	return n, wrap("count the messages of the poison queue", err)
}

// Oldest returns when the first visible message was put into the queue, or zero if none is visible.
func (q *Queue) Oldest(ctx context.Context) (oldest time.Time, err error) {
	list, err := peek(ctx, q.messages)
	for _, p := range list {
		since := p.Since
		if p.Err == nil {
			since = p.Message.Queued // a retried message keeps it
		}
		if oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
	}
	return oldest, wrap("look at the first messages", err)
}

func count(ctx context.Context, client *azqueue.QueueClient) (int, error) {
	resp, err := client.GetProperties(ctx, nil)
	if codeOf(err) == "QueueNotFound" {
		return 0, nil
	}
	return int(valueOf(resp.ApproximateMessagesCount)), err
}

// Delete deletes a message. The error is delivery.ErrSeen if it is gone, or if another receiver has it.
func (q *Queue) Delete(ctx context.Context, kept delivery.Kept) error {
	_, err := q.messages.DeleteMessage(ctx, kept.ID, kept.Receipt, nil)
	return seen(wrap("delete the message", err))
}

// Show makes a hidden message visible after a time, in whole seconds. The error is delivery.ErrSeen if it is gone, or
// if another receiver has it.
func (q *Queue) Show(ctx context.Context, kept delivery.Kept, after time.Duration) error {
	at := int32(after / time.Second)
	_, err := q.messages.UpdateMessage(context.WithValue(ctx, textlessKey{}, true), kept.ID, kept.Receipt, "",
		&azqueue.UpdateMessageOptions{VisibilityTimeout: &at})
	return seen(wrap("show the message", err))
}

func seen(err error) error {
	switch codeOf(err) {
	case "MessageNotFound", "PopReceiptMismatch":
		return fmt.Errorf("%w: %w", delivery.ErrSeen, err)
	}
	return err
}

// textless removes the body of an Update Message, so that the message's text stays unchanged and need not be kept in
// memory. The Functions host renews its leases in this way; the client library has only updates with a text.
type textless struct{}

type textlessKey struct{}

// Do is the method of policy.Policy.
func (textless) Do(r *policy.Request) (*http.Response, error) {
	if r.Raw().Context().Value(textlessKey{}) != nil {
		if err := r.SetBody(nil, ""); err != nil {
			return nil, err //nolint:wrapcheck // a policy adds nothing of its own
		}
		r.Raw().GetBody = nil
	}
	return r.Next() //nolint:wrapcheck // as above
}
