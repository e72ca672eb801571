package outbox

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/registration"
)

// Seen is what a queue shows of itself. All of it stays where it is.
type Seen struct {
	Events []registration.Event // of the first 32 messages, those that can be read
	Whole  bool                 // no other message lies there: none hidden, none that cannot be read
}

// Look looks at the outbox and at its poison queue. A message that is hidden for a while is in neither's Events.
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
	// Asked after the messages, the number has also what came meanwhile: it may say too much, and never too little.
	n, err := count(ctx, client)
	if err != nil {
		return Seen{}, err
	}
	seen.Whole = n <= len(seen.Events)
	return seen, nil
}
