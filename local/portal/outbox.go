package portal

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Outbox is the queue in which events wait while Kafka is unavailable, and the poison queue. Looking at them removes
// nothing. Errors are shown to people and must hold no secret.
type Outbox interface {
	Waiting(ctx context.Context) (QueueLook, error)
	Poisoned(ctx context.Context) (QueueLook, error)
	// Resend moves poisoned messages that can be drained back into the outbox. It returns how many it moved, and how
	// many are left.
	Resend(ctx context.Context) (sent, left int, err error)
}

// QueueLook is the visible state of a queue.
type QueueLook struct {
	Count    int            // approximate number of messages, including invisible ones
	Messages []QueueMessage // the oldest visible ones
}

// QueueMessage is a message of a queue.
type QueueMessage struct {
	ID       string
	Text     string // as it lies in the queue
	Inserted time.Time
}

// waitingEvent is an event in the outbox.
type waitingEvent struct {
	UserID     string `json:"userId"`
	EventID    string `json:"eventId"`
	Since      string `json:"since"` // RFC 3339
	ErrorClass string `json:"errorClass,omitempty"`
	Operation  string `json:"operation,omitempty"`
	// Visible is false during an attempt to deliver it, and until the next one: during that time it is known from
	// telemetry only.
	Visible bool   `json:"visible"`
	Text    string `json:"text,omitempty"` // of a message that is not an event

	at time.Time
}

// drainedEvent is an event that went from the outbox into Kafka.
type drainedEvent struct {
	Time      string   `json:"time"`
	UserID    string   `json:"userId"`
	EventID   string   `json:"eventId"`
	QueuedMs  *float64 `json:"queuedMs"` // null if the item does not have it
	Operation string   `json:"operation,omitempty"`
	Place     *Place   `json:"place"`
}

// poisonedMessage is a message that was given up.
type poisonedMessage struct {
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	Since   string `json:"since"`
	UserID  string `json:"userId,omitempty"`
	EventID string `json:"eventId,omitempty"`
	Text    string `json:"text"` // readable, whatever the message was

	operation string
	at        time.Time
}

// outboxState is the state of the outbox for the page.
type outboxState struct {
	Readable bool              `json:"readable"`
	Reason   string            `json:"reason,omitempty"` // where the queues cannot be read
	Waiting  int               `json:"waiting"`          // approximate number at the last read; likewise the next
	Poisoned int               `json:"poisoned"`
	Events   []waitingEvent    `json:"events"`   // waiting ones, the newest first, at most maxShown
	Messages []poisonedMessage `json:"messages"` // poisoned, the newest first
	Drained  []drainedEvent    `json:"drained"`  // the newest first
	Outage   *outageState      `json:"outage"`   // current, or ended a short time ago; null: none
}

const (
	lookPeriod = time.Second
	lookLimit  = 2 * time.Second // for both queues
	maxShown   = 50
	maxDrained = 10
)

// queues follows the two queues of the outbox.
type queues struct {
	outbox  Outbox
	changed func()

	mu                sync.Mutex
	waiting, poisoned QueueLook
	failed            error // why they cannot be read; nil: they can
}

// follow reads the queues periodically until ctx ends.
func (q *queues) follow(ctx context.Context) {
	tick := time.NewTicker(lookPeriod)
	defer tick.Stop()
	for {
		q.look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (q *queues) look(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	waiting, err := q.outbox.Waiting(limited)
	poisoned, err2 := q.outbox.Poisoned(limited)
	if err == nil {
		err = err2
	}
	if ctx.Err() != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil { // what was seen before stays
		waiting, poisoned = q.waiting, q.poisoned
	}
	if same(q.waiting, waiting) && same(q.poisoned, poisoned) && (err == nil) == (q.failed == nil) {
		return
	}
	q.waiting, q.poisoned, q.failed = waiting, poisoned, err
	q.changed()
}

func same(a, b QueueLook) bool { return a.Count == b.Count && slices.Equal(a.Messages, b.Messages) }

// latest returns the last state, and why it may be out of date.
func (q *queues) latest() (waiting, poisoned QueueLook, failed error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting, q.poisoned, q.failed
}

func (p *Portal) outbox(w http.ResponseWriter, _ *http.Request) {
	s := outboxState{Events: []waitingEvent{}, Messages: []poisonedMessage{}, Drained: []drainedEvent{}}
	drained := p.store.find(Query{Event: "drained", Newest: keepItems})
	for _, item := range drained[:min(maxDrained, len(drained))] {
		s.Drained = append(s.Drained, newDrained(item))
	}
	if p.queues == nil {
		s.Reason = "no outbox is configured"
		writeJSON(w, http.StatusOK, s)
		return
	}
	waiting, poisoned, failed := p.queues.latest()
	if s.Readable = failed == nil; !s.Readable {
		s.Reason = failed.Error()
	}
	s.Waiting, s.Poisoned = waiting.Count, poisoned.Count
	s.Outage = p.registrations.outageState(waiting, s.Readable, time.Now())
	gone := slices.Concat(drained, p.store.find(Query{Event: "withdrawn"})) // stored in Kafka later
	s.Events = waitingEvents(waiting, p.store.find(Query{Event: "outboxed", Newest: keepItems}), gone)
	for _, m := range slices.Backward(poisoned.Messages) {
		s.Messages = append(s.Messages, newPoisoned(m))
	}
	writeJSON(w, http.StatusOK, s)
}

// waitingEvents returns the visible events of the queue. For the invisible ones it adds as many events that, according
// to telemetry, were put there and have not left.
func waitingEvents(look QueueLook, outboxed, gone []*Item) []waitingEvent {
	events, known := []waitingEvent{}, map[string]bool{}
	for _, m := range look.Messages {
		event := newWaiting(m)
		known[event.EventID] = true
		events = append(events, event)
	}
	for _, item := range gone {
		known[item.Properties["eventId"]] = true
	}
	for _, item := range outboxed {
		p := item.Properties
		if len(events) >= look.Count || known[p["eventId"]] {
			continue
		}
		known[p["eventId"]] = true
		events = append(events, waitingEvent{
			UserID: p["userId"], EventID: p["eventId"], ErrorClass: p["errorClass"],
			Since: item.Time, Operation: item.Tags["ai.operation.id"], at: item.at,
		})
	}
	slices.SortStableFunc(events, func(a, b waitingEvent) int { return b.at.Compare(a.at) })
	return events[:min(maxShown, len(events))]
}

func newDrained(item *Item) drainedEvent {
	p := item.Properties
	d := drainedEvent{Time: item.Time, UserID: p["userId"], EventID: p["eventId"], Operation: item.Tags["ai.operation.id"]}
	if ms, ok := number(p["queuedMs"]); ok {
		d.QueuedMs = &ms
	}
	if place, ok := placeOf(p); ok {
		d.Place = &place
	}
	return d
}
