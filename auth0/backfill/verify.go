package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"sync"

	"userrelay/handler/outbox"
	"userrelay/handler/registration"
)

// batch is the number of users missing in the topic that are collected before the queues are checked.
const batch = 10_000

// resendCommand is the command that resends the messages of the poison queue.
const resendCommand = "bin/handler -poison resend"

// topicReader returns the records that were written to the topic since the previous call (topic.Reader).
type topicReader interface {
	CatchUp(ctx context.Context, tell func(source, key string)) error
}

// queues are the outbox and its poison queue (outbox.Queue).
type queues interface {
	Look(ctx context.Context) (waiting, poison outbox.Seen, err error)
}

// verifier finds the users that are not in the topic, and where they are instead. It keeps a hash of each user of the
// topic, and of each user that was read, so that a million users fit into memory.
type verifier struct {
	source string // of the tenant's events
	topic  topicReader
	queues queues // nil: there is no outbox
	note   func(format string, args ...any)

	has     map[digest]struct{} // users that the topic has
	pending []user

	mu    sync.Mutex // guards count
	count reconciled
}

// digest is the hash of a user id.
type digest [16]byte

func digestOf(userID string) (d digest) {
	sum := sha256.Sum256([]byte(userID))
	copy(d[:], sum[:])
	return d
}

// reconciled counts users.
type reconciled struct {
	topic   int // that the topic has
	both    int // of the expected users, that the topic has
	waiting int // in the outbox
	poison  int // in the poison queue
	unclear int // that may be in a queue that does not show all messages
	missing int // nowhere
}

// begin reads the current topic.
func (v *verifier) begin(ctx context.Context) error {
	v.has = map[digest]struct{}{}
	return v.catchUp(ctx)
}

func (v *verifier) catchUp(ctx context.Context) error {
	err := v.topic.CatchUp(ctx, func(source, key string) {
		if source == v.source {
			v.has[digestOf(key)] = struct{}{}
			v.counted(func(c *reconciled) { c.topic = len(v.has) })
		}
	})
	return err
}

// counted changes the counts.
func (v *verifier) counted(change func(*reconciled)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.count)
}

// counts are the counts so far.
func (v *verifier) counts() reconciled {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count
}

// missing yields the users that are neither in the topic nor in the outbox nor in the poison queue.
func (v *verifier) missing(ctx context.Context, users iter.Seq2[user, error]) iter.Seq2[user, error] {
	return func(yield func(user, error) bool) {
		for u, err := range users {
			if err != nil {
				if !yield(u, err) {
					return
				}
				continue
			}
			if v.inTopic(u) {
				v.counted(func(c *reconciled) { c.both++ })
				u.settle()
				continue
			}
			if v.pending = append(v.pending, u); len(v.pending) == batch && !v.flush(ctx, yield) {
				return
			}
		}
		v.flush(ctx, yield)
	}
}

// flush finds the users that were not in the topic. It reads the queues first, so that a message that leaves the
// outbox during that time is then found in the topic.
func (v *verifier) flush(ctx context.Context, yield func(user, error) bool) bool {
	pending := v.pending
	v.pending = v.pending[:0]
	if len(pending) == 0 {
		return true
	}
	waiting, poison := outbox.Seen{Whole: true}, outbox.Seen{Whole: true}
	if v.queues != nil {
		var err error
		if waiting, poison, err = v.queues.Look(ctx); err != nil {
			yield(user{}, fmt.Errorf("look for users in the outbox: %w", err))
			return false
		}
	}
	if err := v.catchUp(ctx); err != nil {
		yield(user{}, err)
		return false
	}
	inOutbox, inPoison := v.usersOf(waiting.Events), v.usersOf(poison.Events)
	for _, u := range pending {
		switch {
		case v.inTopic(u):
			v.counted(func(c *reconciled) { c.both++ })
		case inOutbox[u.id]:
			v.counted(func(c *reconciled) { c.waiting++ })
			v.note("in the outbox: %+q", u.id)
		case inPoison[u.id]:
			v.counted(func(c *reconciled) { c.poison++ })
			v.note("in the poison queue, resend with %s: %+q", resendCommand, u.id)
		case !waiting.Whole || !poison.Whole:
			v.counted(func(c *reconciled) { c.unclear++ })
			v.note("not in the topic, possibly in a queue: %+q", u.id)
		default:
			v.counted(func(c *reconciled) { c.missing++ })
			v.note("missing: %+q, created %s", u.id, u.createdAt)
			if !yield(u, nil) {
				return false
			}
		}
	}
	return true
}

func (v *verifier) inTopic(u user) bool {
	_, ok := v.has[digestOf(u.id)]
	return ok
}

// usersOf returns the tenant's users among the events.
func (v *verifier) usersOf(events []registration.Event) map[string]bool {
	users := map[string]bool{}
	for _, e := range events {
		if e.Source == v.source {
			users[e.UserID] = true
		}
	}
	return users
}

// errUnclear says that the state of some users is unknown.
var errUnclear = errors.New("a queue shows only its first 32 messages, and has more or hidden ones: users that may be among them " +
	"were not sent; run this again when the queue is shorter")
