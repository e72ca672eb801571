package relay

import (
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

// repeats stores what has an id of the caller's choice once, as far as this process knows.
type repeats struct {
	mu    sync.Mutex
	byKey map[registration.RepeatKey]*first // under way or stored
	order []*first                          // those stored, by time
}

// first is the first request with an id.
type first struct {
	key     registration.RepeatKey
	userID  string
	done    chan struct{} // closed when it has ended
	ended   time.Time
	outcome Outcome
	err     error
}

// once calls store for the first event of a source and id. A repeat gets the same outcome; one that comes while the first is under
// way waits for it. A failure is not remembered.
func (s *repeats) once(e registration.Event, store func() (Outcome, error)) (Outcome, error) {
	s.mu.Lock()
	s.forget(time.Now())
	if f := s.byKey[e.RepeatKey()]; f != nil {
		s.mu.Unlock()
		return f.replay(e.UserID)
	}
	f := &first{key: e.RepeatKey(), userID: e.UserID, done: make(chan struct{})}
	f.err = &delivery.Error{Class: delivery.UnknownOutcome, Op: "store the first", Err: errPanicked} // should store not return
	s.byKey[f.key] = f
	s.mu.Unlock()
	defer s.end(f)
	f.outcome, f.err = store()
	return f.outcome, f.err
}

func (f *first) replay(userID string) (Outcome, error) {
	if f.userID != userID {
		return Outcome{}, ErrIDTaken
	}
	<-f.done // within the time limits of its delivery
	if f.err != nil {
		return Outcome{}, f.err
	}
	out := f.outcome
	out.Replayed = true
	return out, nil
}

func (s *repeats) end(f *first) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.ended = time.Now()
	if f.err != nil {
		delete(s.byKey, f.key)
	} else {
		s.order = append(s.order, f)
	}
	close(f.done)
}

// forget lets go of what is too old, or too much. s.mu is held.
func (s *repeats) forget(now time.Time) {
	for len(s.order) > 0 && (len(s.order) > rememberMost || now.Sub(s.order[0].ended) >= rememberFor) {
		delete(s.byKey, s.order[0].key)
		s.order[0] = nil
		s.order = s.order[1:]
	}
}
