package store

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// Operations of a change.
const (
	opCreate   = "create"   // the queue, with its metadata
	opMetadata = "metadata" // all of the queue's metadata
	opDrop     = "drop"     // the queue and all in it
	opPut      = "put"      // messages
	opSet      = "set"      // visible, receipt, dequeued and, where given, the text of messages
	opDelete   = "delete"   // messages
	opClear    = "clear"    // all messages
)

// change is all that ever changes a store, and one record of the journal. It holds values, never differences, and no
// times but absolute ones. Messages leave by expiry without one: whoever reads the journal sees by himself that they
// have expired.
type change struct {
	Op       string            `json:"op"`
	Queue    string            `json:"queue"`
	Metadata map[string]string `json:"metadata,omitzero"`
	Messages []entry           `json:"messages,omitzero"`
}

// entry is a message in a change.
type entry struct {
	ID       string    `json:"id"`
	Text     *string   `json:"text,omitzero"`
	Inserted time.Time `json:"inserted,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Visible  time.Time `json:"visible,omitzero"`
	Receipt  string    `json:"receipt,omitzero"`
	Dequeued int       `json:"dequeued,omitzero"`
}

func putEntry(m Message) entry {
	return entry{ID: m.ID, Text: &m.Text, Inserted: m.Inserted, Expires: m.Expires, Visible: m.Visible, Receipt: m.Receipt, Dequeued: m.Dequeued}
}

func (e entry) message() Message {
	m := Message{ID: e.ID, Inserted: e.Inserted, Expires: e.Expires, Visible: e.Visible, Receipt: e.Receipt, Dequeued: e.Dequeued}
	if e.Text != nil {
		m.Text = *e.Text
	}
	return m
}

func (c change) encode() ([]byte, error) {
	record, err := json.Marshal(c, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode a change of queue %s: %w", c.Queue, err)
	}
	return record, nil
}

// replay applies a record of the journal. An error means that the journal is not a store's.
func (s *Store) replay(record []byte) error {
	var c change
	if err := json.Unmarshal(record, &c, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("decode a change: %w", err)
	}
	if err := s.apply(c); err != nil {
		return fmt.Errorf("%s in queue %q: %w", c.Op, c.Queue, err)
	}
	return nil
}

// apply changes the store's state. It fails only on a change that does not fit the state, which the store does not make.
func (s *Store) apply(c change) error {
	q, found := s.queues[c.Queue]
	if found == (c.Op == opCreate) {
		return fmt.Errorf("the queue exists: %t", found)
	}
	switch c.Op {
	case opCreate:
		s.queues[c.Queue] = newQueue(c.Metadata)
	case opMetadata:
		q.metadata = c.Metadata
	case opDrop:
		delete(s.queues, c.Queue)
	case opClear:
		q.clear()
	case opPut, opSet, opDelete:
		for _, e := range c.Messages {
			if err := q.apply(c.Op, e); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("no operation: %q", c.Op)
	}
	return nil
}

func (q *queue) apply(op string, e entry) error {
	it, found := q.items[e.ID]
	if found == (op == opPut) {
		return fmt.Errorf("message %q exists: %t", e.ID, found)
	}
	switch op {
	case opPut:
		q.put(e.message())
	case opSet:
		q.set(it, e.Visible, e.Receipt, e.Dequeued, e.Text)
	case opDelete:
		q.remove(it)
	}
	return nil
}
