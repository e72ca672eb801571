package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// For how long outcomes are remembered, and how many. Callers repeat within seconds: Auth0's Actions end after 20 s.
const (
	rememberFor  = 5 * time.Minute
	rememberMost = 8192 // some 3 MB
)

// ErrIDTaken says that another user's registration from the same source has the event id that the caller chose.
var ErrIDTaken = errors.New("the event id belongs to another user's registration")

// repeats remembers the first requests of registrations whose ids the callers chose. The number of those in progress
// or waiting for a late answer has limits elsewhere: the requests in progress, and the records in the producer.
type repeats struct {
	mu     sync.Mutex
	open   map[registration.RepeatKey]*first       // not stored yet
	stored *recent[registration.RepeatKey, *first] // the newest
}

// first is the first request of a registration.
type first struct {
	key     registration.RepeatKey
	eventID string
	userID  string
	done    chan struct{} // closed when it has ended
	outcome Outcome
	err     error
	late    *answer // Kafka's late answer, if err says that the outcome is unknown
}

func newRepeats() repeats {
	return repeats{
		open:   map[registration.RepeatKey]*first{},
		stored: newRecent[registration.RepeatKey, *first](rememberMost, rememberFor),
	}
}

// first returns the first request with the event's id, and whether there was one before. If not, this is the first,
// and the caller must call ended.
func (s *repeats) first(e registration.Event) (f *first, known bool) {
	f = &first{key: e.RepeatKey(), eventID: e.ID, userID: e.UserID, done: make(chan struct{})}
	f.err = &delivery.Error{Class: delivery.UnknownOutcome, Op: "store the first", Err: errPanicked} // also after a panic
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.open[f.key]; before != nil {
		return before, true
	}
	if before, ok := s.stored.get(f.key); ok {
		return before, true
	}
	s.open[f.key] = f
	return f, false
}

// ended notes the end of a first request. It remembers a failure only if Kafka's late answer may turn it into a
// success.
func (s *repeats) ended(f *first) {
	if f.late == nil {
		s.remember(f)
	}
	close(f.done)
}

// settled notes that Kafka's late answer has arrived, or never will.
func (s *repeats) settled(f *first) {
	<-f.done
	s.remember(f)
}

func (s *repeats) remember(f *first) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, f.key)
	if f.err == nil || f.late != nil && f.late.err == nil {
		s.stored.add(f.key, f)
	}
}

// replay returns the outcome for a repeat. It waits for it within the time limits of the first request, and for
// Kafka's late answer until ctx ends.
func (f *first) replay(ctx context.Context, userID string) (Outcome, error) {
	if f.userID != userID {
		return Outcome{}, &delivery.Error{Class: delivery.Invalid, Op: "look for the event id", Err: ErrIDTaken}
	}
	<-f.done
	out, err := f.outcome, f.err
	if err != nil && f.late != nil {
		out = Outcome{Kind: InKafka, EventID: f.eventID}
		out.Kafka, err = f.late.by(ctx)
	}
	if err != nil {
		return Outcome{}, err
	}
	out.Replayed = true
	return out, nil
}
