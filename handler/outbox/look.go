package outbox

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/registration"
)

// Seen is what peeking at a queue shows. No message is changed.
type Seen struct {
	Events []registration.Event // the readable ones of the first 32 messages
	Whole  bool                 // the queue holds no other message, neither hidden nor unreadable
}

// Look peeks at the outbox and at its poison queue. Hidden messages are in the Events of neither.
func (q *Queue) Look(ctx context.Context) (waiting, poison Seen, err error) {
	if err := q.identified(ctx); err != nil {
		return Seen{}, Seen{}, err
	}
	if waiting, err = look(ctx, q.messages); err == nil {
		poison, err = look(ctx, q.poison)
	}
	return waiting, poison, wrap("look at the queue", err)
}

func look(ctx context.Context, client *azqueue.QueueClient) (Seen, error) {
	list, err := peek(ctx, client)
	if err != nil {
		return Seen{}, err
	}
	var seen Seen
	for _, p := range list {
		if p.Err == nil {
			seen.Events = append(seen.Events, p.Message.Event)
		}
	}
	// The count is read after the messages and includes those that arrived in between: it may be too high, but never
	// too low.
	n, err := count(ctx, client)
	if err != nil {
		return Seen{}, err
	}
	seen.Whole = n <= len(seen.Events)
	return seen, nil
}
