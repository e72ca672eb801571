// Package store keeps queues and their messages as the Azure Queue service does: visibility, expiry, dequeue counts, pop
// receipts. It knows nothing of HTTP, and time is time.Now.
//
// With a folder whatever was answered is on disk: it survives the end of the process, and of the machine, however they end. The
// folder has a bbolt database, from which all is read at the start, and which only one process may have open. Operations that
// come at the same time share a transaction, and with it its two fsyncs; one that comes alone waits for two. The file does not
// shrink: room that messages leave is for others.
package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
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
	mu     sync.Mutex
	queues map[string]*queue
	disk   *disk // nil: nothing is kept
}

// Open returns the store that a folder holds, which is made if need be. Without a folder, "", the store is empty and ends
// with the process. A folder that another process has open is an error, as is one with queues of an earlier version, whose file
// is called journal. Close must be called.
func Open(dir string) (*Store, error) {
	s := &Store{queues: make(map[string]*queue)}
	if dir == "" {
		return s, nil
	}
	var err error
	if s.disk, err = openDisk(dir); err != nil {
		return nil, fmt.Errorf("open the queues in %s: %w", dir, err)
	}
	if s.queues, err = s.disk.load(now()); err != nil {
		return nil, errors.Join(fmt.Errorf("open the queues in %s: %w", dir, err), s.disk.close())
	}
	return s, nil
}

// Close ends the store. Operations that come later fail if it has a folder. The error is why something could not be
// written, now or earlier.
func (s *Store) Close() error { return s.disk.close() }

// now is without the monotonic reading, which does not outlive the process.
func now() time.Time { return time.Now().UTC().Round(0) }

// do runs an operation.
func (s *Store) do(operation func(now time.Time) error) error {
	s.mu.Lock()
	err := operation(now())
	seen := s.disk.latest()
	s.mu.Unlock()
	if err := s.disk.sync(seen); err != nil {
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
		text, err := s.disk.encode(metadata)
		if err != nil {
			return err
		}
		created = true
		s.queues[name] = newQueue(name, metadata, s.disk)
		s.disk.add(writeQueue(name, text))
		return nil
	})
	return created, err
}

// Drop deletes a queue and all that is in it.
func (s *Store) Drop(name string) error {
	return s.doIn(name, func(*queue, time.Time) error {
		delete(s.queues, name)
		s.disk.add(writeDrop(name))
		return nil
	})
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
	return s.doIn(name, func(q *queue, _ time.Time) error {
		text, err := s.disk.encode(metadata)
		if err != nil {
			return err
		}
		q.metadata = metadata
		s.disk.add(writeQueue(name, text))
		return nil
	})
}
