// Package store keeps queues and their messages as the Azure Queue service does: visibility, expiry, dequeue counts, pop
// receipts. It knows nothing of HTTP, and time is time.Now.
//
// With a folder whatever was answered survives the end of the process, however it ends; see package journal.
package store

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"userrelay/local/storagequeue/internal/journal"
)

// The answers that are no success.
var (
	ErrQueueExists     = errors.New("the queue exists, with other metadata")
	ErrQueueNotFound   = errors.New("no such queue")
	ErrMessageNotFound = errors.New("no such message")
	ErrReceiptMismatch = errors.New("not the message's newest receipt")
	ErrExpiresBefore   = errors.New("the message expires before it is visible again")
)

// Store holds queues. Its methods may be called at the same time; each happens at one moment, and returns when what it
// did, and all that it saw, is on disk.
type Store struct {
	mu      sync.Mutex
	queues  map[string]*queue
	journal *journal.Journal // nil: nothing is kept
}

// Open returns the store that a folder holds, which is made if need be. Without a folder, "", the store is empty and ends
// with the process. Close must be called.
func Open(dir string) (*Store, error) {
	s := &Store{queues: make(map[string]*queue)}
	if dir == "" {
		return s, nil
	}
	var err error
	if s.journal, err = journal.Open(dir, s.replay); err != nil {
		return nil, fmt.Errorf("open the queues in %s: %w", dir, err)
	}
	return s, nil
}

// Close ends the store. Operations that come later fail if it has a folder. The error is why something could not be
// written, now or earlier.
func (s *Store) Close() error {
	if s.journal == nil {
		return nil
	}
	return s.journal.Close()
}

// do runs an operation.
func (s *Store) do(operation func(now time.Time) error) error {
	s.mu.Lock()
	err := operation(time.Now().UTC().Round(0)) // without the monotonic reading, which does not outlive the process
	var seen *journal.Commit
	if s.journal != nil {
		seen = s.journal.Latest()
	}
	s.mu.Unlock()
	if err := seen.Wait(); err != nil {
		return err
	}
	return err
}

// doIn runs an operation in a queue.
func (s *Store) doIn(name string, operation func(q *queue, now time.Time) error) error {
	return s.do(func(now time.Time) error {
		q := s.queues[name]
		if q == nil {
			return ErrQueueNotFound
		}
		q.expire(now)
		return operation(q, now)
	})
}

// change applies a change and appends it to the journal.
func (s *Store) change(c change) error {
	if s.journal == nil {
		return s.apply(c)
	}
	record, err := c.encode()
	if err != nil {
		return err
	}
	if err := s.apply(c); err != nil {
		return err
	}
	s.journal.Append(record)
	if s.journal.Grown() {
		s.journal.Compact(s.snapshot())
	}
	return nil
}

// snapshot returns the changes that lead from nothing to the present state. Only the copy of the messages is made now;
// the texts in it are shared.
func (s *Store) snapshot() iter.Seq2[[]byte, error] {
	type contents struct {
		name     string
		metadata map[string]string
		items    []item
	}
	queues := make([]contents, 0, len(s.queues))
	for name, q := range s.queues {
		c := contents{name, q.metadata, make([]item, 0, len(q.items))}
		for _, it := range q.items {
			c.items = append(c.items, *it)
		}
		queues = append(queues, c)
	}
	return func(yield func([]byte, error) bool) {
		for _, q := range queues {
			if !yield(change{Op: opCreate, Queue: q.name, Metadata: q.metadata}.encode()) {
				return
			}
			slices.SortFunc(q.items, func(a, b item) int { return int(a.number) - int(b.number) })
			for _, it := range q.items {
				if !yield(change{Op: opPut, Queue: q.name, Messages: []entry{putEntry(it.Message)}}.encode()) {
					return
				}
			}
		}
	}
}

// Queue is a queue as it is at one moment.
type Queue struct {
	Name     string
	Metadata map[string]string
	Messages int // that have not expired, visible or not
}

// Create makes a queue. It is no error, and nothing is created, when there is one with the same metadata.
func (s *Store) Create(name string, metadata map[string]string) (created bool, err error) {
	err = s.do(func(time.Time) error {
		if q := s.queues[name]; q != nil {
			if !maps.Equal(q.metadata, metadata) {
				return ErrQueueExists
			}
			return nil
		}
		created = true
		return s.change(change{Op: opCreate, Queue: name, Metadata: metadata})
	})
	return created, err
}

// Drop deletes a queue and all that is in it.
func (s *Store) Drop(name string) error {
	return s.doIn(name, func(*queue, time.Time) error { return s.change(change{Op: opDrop, Queue: name}) })
}

// Queue returns a queue.
func (s *Store) Queue(name string) (found Queue, err error) {
	err = s.doIn(name, func(q *queue, _ time.Time) error {
		found = Queue{name, q.metadata, len(q.items)}
		return nil
	})
	return found, err
}

// Queues returns at most limit queues whose names begin with prefix and are not before from, by name; and the name from
// which the next ones come, "" where there are none.
func (s *Store) Queues(prefix, from string, limit int) (found []Queue, next string, err error) {
	err = s.do(func(now time.Time) error {
		for _, name := range slices.Sorted(maps.Keys(s.queues)) {
			if name < from || !strings.HasPrefix(name, prefix) {
				continue
			}
			if len(found) == limit {
				next = name
				return nil
			}
			q := s.queues[name]
			q.expire(now)
			found = append(found, Queue{name, q.metadata, len(q.items)})
		}
		return nil
	})
	return found, next, err
}

// SetMetadata replaces all of a queue's metadata.
func (s *Store) SetMetadata(name string, metadata map[string]string) error {
	return s.doIn(name, func(*queue, time.Time) error {
		return s.change(change{Op: opMetadata, Queue: name, Metadata: metadata})
	})
}
