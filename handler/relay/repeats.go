package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// How long and how many outcomes are remembered. Callers repeat within seconds: Auth0's Actions end after 20 s.
const (
	rememberFor  = 5 * time.Minute
	rememberMost = 8192 // some 3 MB
)

// ErrIDTaken says that the caller chose an event id that another user's registration of the same source has.
var ErrIDTaken = errors.New("the event id belongs to another user's registration")

// repeats knows the first requests of those registrations whose ids their callers chose. How many of them are under way or
// wait for Kafka's late answer is bounded by others: by the requests in progress and by what the producer holds.
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
	late    *answer // Kafka's, where err is that the outcome is not known
}

func newRepeats() repeats {
	return repeats{
		open:   map[registration.RepeatKey]*first{},
		stored: newRecent[registration.RepeatKey, *first](rememberMost, rememberFor),
	}
}

// first returns the first request that has the event's id, and whether it was known. If not, the caller must say that it
// ended.
func (s *repeats) first(e registration.Event) (f *first, known bool) {
	f = &first{key: e.RepeatKey(), eventID: e.ID, userID: e.UserID, done: make(chan struct{})}
	f.err = &delivery.Error{Class: delivery.UnknownOutcome, Op: "store the first", Err: errPanicked} // should it not return
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

// ended notes the end of a first request. A failure is not remembered, but for one that Kafka's late answer may fix.
func (s *repeats) ended(f *first) {
	if f.late == nil {
		s.remember(f)
	}
	close(f.done)
}

// settled notes that Kafka's late answer has come, or never will.
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

// replay returns the outcome for a repeat. It waits for it within the time limits of the first one's delivery, and for
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
