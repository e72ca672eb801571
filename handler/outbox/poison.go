package outbox

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/go-json-experiment/json"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// poisoned is a message of the poison queue as Poison writes it. The host copies messages that it gives up unchanged.
type poisoned struct {
	Reason  string    `json:"reason"`
	Time    time.Time `json:"poisonedtime"`
	Message []byte    `json:"message"` // base64 in JSON
}

// Poison stores a message that cannot be drained in the poison queue, with a reason for a person to read. If the
// message is too long for a reason, it is stored alone.
func (q *Queue) Poison(ctx context.Context, message []byte, reason string) (delivery.Kept, error) {
	b, err := json.Marshal(poisoned{Reason: reason, Time: time.Now().UTC(), Message: message})
	if err != nil {
		panic(err) // reasons are constants of this program
	}
	if len(b) > registration.MaxEnvelope {
		b = message
	}
	kept, err := put(ctx, q.poison, b, 0)
	kept.Queue = poisonName
	return kept, err
}

// Poisoned is a message of the poison queue.
type Poisoned struct {
	ID      string
	Since   time.Time
	Reason  string // why it is there; "" if this program did not put it there
	Message registration.Envelope
	Err     error // why it cannot be drained; nil where it can be sent again
	Sent    bool  // again, by Resend

	text, receipt string // as the queue has it
}

// ListPoisoned returns the first messages of the poison queue, at most 32. All of them stay in the queue.
func (q *Queue) ListPoisoned(ctx context.Context) ([]Poisoned, error) {
	if err := q.identified(ctx); err != nil {
		return nil, err
	}
	list, err := peek(ctx, q.poison)
	for i := range list {
		q.claim(&list[i])
	}
	return list, wrap("look at the poison queue", err)
}

// claim notes whether a message is another app's.
func (q *Queue) claim(p *Poisoned) {
	if p.Err == nil && p.Message.Origin.Foreign(q.origin) {
		p.Err = registration.ErrForeign
	}
}

// peek returns the first messages of a queue, at most 32. All of them stay in the queue.
func peek(ctx context.Context, client *azqueue.QueueClient) ([]Poisoned, error) {
	most := int32(32)
	resp, err := client.PeekMessages(ctx, &azqueue.PeekMessagesOptions{NumberOfMessages: &most})
	if codeOf(err) == "QueueNotFound" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Poisoned
	for _, m := range resp.Messages {
		list = append(list, readPoisoned(m.MessageID, nil, m.MessageText, m.InsertionTime))
	}
	return list, nil
}

func readPoisoned(id, receipt, text *string, since *time.Time) Poisoned {
	p := Poisoned{ID: valueOf(id), Since: valueOf(since), text: valueOf(text), receipt: valueOf(receipt)}
	message, err := base64.StdEncoding.DecodeString(p.text)
	if err != nil {
		p.Err = &registration.InvalidError{Member: "message", Rule: "must be base64"}
		return p
	}
	var wrapped poisoned
	if json.Unmarshal(message, &wrapped) == nil && wrapped.Message != nil {
		message, p.Reason = wrapped.Message, wrapped.Reason
	}
	p.Message, p.Err = registration.ParseEnvelope(message)
	return p
}

func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// resendHold is how long a message is hidden while it is sent again, also from Resend itself.
const (
	resendHold = 15 * time.Minute
	// ResendLimit is how long Resend may take, so that it does not receive a message twice.
	ResendLimit = 10 * time.Minute
)

// Resend moves the messages of the poison queue that can be drained back into the outbox, and reports each message
// that it received. A message is deleted only after its copy is stored; those that cannot be drained stay.
func (q *Queue) Resend(ctx context.Context, tell func(Poisoned)) error {
	ctx, cancel := context.WithTimeout(ctx, ResendLimit)
	defer cancel()
	if err := q.identified(ctx); err != nil {
		return err
	}
	var left []Poisoned
	for {
		p, ok, err := q.nextPoisoned(ctx)
		if err != nil || !ok {
			return errors.Join(err, q.putBack(ctx, left))
		}
		if p.Err == nil {
			if _, err := put(ctx, q.messages, q.again(p.Message), 0); err != nil {
				return errors.Join(err, q.putBack(ctx, append(left, p)))
			}
			if _, err := q.poison.DeleteMessage(ctx, p.ID, p.receipt, nil); err != nil {
				return wrap("delete the message from the poison queue, whose copy is in the outbox", err)
			}
			p.Sent = true
		} else {
			left = append(left, p)
		}
		tell(p)
	}
}

// again returns the message to write into the outbox. The current settings decide whether it keeps the profile, and
// for which Kafka it is.
func (q *Queue) again(m registration.Envelope) []byte {
	if !q.profile {
		m.Event = m.Event.IDOnly()
	}
	m.Origin = q.origin
	return m.Encode()
}

// nextPoisoned receives a message of the poison queue and hides it for a while.
func (q *Queue) nextPoisoned(ctx context.Context) (Poisoned, bool, error) {
	hold := int32(resendHold / time.Second)
	resp, err := q.poison.DequeueMessage(ctx, &azqueue.DequeueMessageOptions{VisibilityTimeout: &hold})
	if codeOf(err) == "QueueNotFound" {
		return Poisoned{}, false, nil
	}
	if err != nil {
		return Poisoned{}, false, wrap("read the poison queue", err)
	}
	if len(resp.Messages) == 0 {
		return Poisoned{}, false, nil
	}
	m := resp.Messages[0]
	p := readPoisoned(m.MessageID, m.PopReceipt, m.MessageText, m.InsertionTime)
	q.claim(&p)
	return p, true, nil
}

// putBack makes messages that stay in the poison queue visible again. Without it they would be after resendHold.
func (q *Queue) putBack(ctx context.Context, messages []Poisoned) error {
	now := int32(0)
	for _, p := range messages {
		_, err := q.poison.UpdateMessage(ctx, p.ID, p.receipt, p.text, &azqueue.UpdateMessageOptions{VisibilityTimeout: &now})
		if err != nil && codeOf(err) != "PopReceiptMismatch" && codeOf(err) != "MessageNotFound" { // somebody else has it
			return wrap("show the message in the poison queue again", err)
		}
	}
	return nil
}
