package store

import (
	"time"

	"userrelay/local/uuid"
)

// Put adds a message that becomes visible after hidden and expires after life; a life of 0 has no end.
func (s *Store) Put(name, text string, hidden, life time.Duration) (m Message, err error) {
	err = s.doIn(name, func(q *queue, now time.Time) error {
		m = Message{ID: uuid.New(), Text: text, Inserted: now, Expires: Never(), Visible: now.Add(hidden), Receipt: newReceipt()}
		if life > 0 {
			m.Expires = now.Add(life)
		}
		return q.put(m)
	})
	return m, err
}

// Get returns at most n visible messages and hides them for a while. The message that is visible for longest comes
// first, and messages that are visible since they were put come in the order of that.
func (s *Store) Get(name string, n int, hidden time.Duration) (found []Message, err error) {
	err = s.doIn(name, func(q *queue, now time.Time) error {
		taken := q.first(n, now)
		for _, it := range taken {
			m := it.Message
			m.Visible, m.Receipt, m.Dequeued = now.Add(hidden), newReceipt(), it.Dequeued+1
			if err := q.set(it, m); err != nil {
				return err
			}
		}
		found = copies(taken)
		return nil
	})
	return found, err
}

// Peek returns what Get would return, and changes nothing.
func (s *Store) Peek(name string, n int) (found []Message, err error) {
	err = s.doIn(name, func(q *queue, now time.Time) error {
		found = copies(q.first(n, now))
		return nil
	})
	return found, err
}

// Update hides a message for a while from now on and, unless text is nil, replaces its text. A message that is visible
// again can be updated and deleted as long as its receipt is the newest.
func (s *Store) Update(name, id, receipt string, text *string, hidden time.Duration) (m Message, err error) {
	err = s.doIn(name, func(q *queue, now time.Time) error {
		it, err := q.find(id, receipt)
		if err != nil {
			return err
		}
		updated := it.Message
		updated.Visible, updated.Receipt = now.Add(hidden), newReceipt()
		if updated.Visible.After(updated.Expires) {
			return ErrExpiresBefore
		}
		if text != nil {
			updated.Text = *text
		}
		m = updated
		return q.set(it, updated)
	})
	return m, err
}

// Delete deletes a message.
func (s *Store) Delete(name, id, receipt string) error {
	return s.doIn(name, func(q *queue, _ time.Time) error {
		it, err := q.find(id, receipt)
		if err != nil {
			return err
		}
		q.remove(it)
		return nil
	})
}

// Clear deletes all messages of a queue.
func (s *Store) Clear(name string) error {
	return s.doIn(name, func(q *queue, _ time.Time) error { q.clear(); return nil })
}

func (q *queue) find(id, receipt string) (*item, error) {
	it := q.items[id]
	if it == nil {
		return nil, ErrMessageNotFound
	}
	if it.Receipt != receipt {
		return nil, ErrReceiptMismatch
	}
	return it, nil
}

func copies(found []*item) []Message {
	messages := make([]Message, len(found))
	for i, it := range found {
		messages[i] = it.Message
	}
	return messages
}
