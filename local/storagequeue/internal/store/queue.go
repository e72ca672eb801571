package store

import (
	"container/heap"
	"time"
)

// item is a message in its queue. Only the queue changes it.
type item struct {
	Message
	number    uint64 // counts the queue's messages in the order in which they were put
	byVisible int    // its place in queue.visible
	byExpiry  int    // its place in queue.expiry, if it expires
}

// queue is one queue. No operation on it looks at more messages than it returns: each is found by its id, or stands at
// the top of a heap.
type queue struct {
	metadata map[string]string
	items    map[string]*item
	visible  items // the first to be returned on top: visible for longest, then put first
	expiry   items // those that expire, the first to expire on top
	puts     uint64
}

func newQueue(metadata map[string]string) *queue {
	q := &queue{metadata: metadata}
	q.clear()
	return q
}

func (q *queue) clear() {
	q.items = make(map[string]*item)
	q.visible = items{
		less: func(a, b *item) bool {
			if c := a.Visible.Compare(b.Visible); c != 0 {
				return c < 0
			}
			return a.number < b.number
		},
		place: func(m *item) *int { return &m.byVisible },
	}
	q.expiry = items{
		less:  func(a, b *item) bool { return a.Expires.Before(b.Expires) },
		place: func(m *item) *int { return &m.byExpiry },
	}
}

func (q *queue) put(m Message) {
	q.puts++
	it := &item{Message: m, number: q.puts}
	q.items[m.ID] = it
	heap.Push(&q.visible, it)
	if m.Expires.Before(Never()) {
		heap.Push(&q.expiry, it)
	}
}

// set changes what Get and Update change.
func (q *queue) set(it *item, visible time.Time, receipt string, dequeued int, text *string) {
	it.Visible, it.Receipt, it.Dequeued = visible, receipt, dequeued
	if text != nil {
		it.Text = *text
	}
	heap.Fix(&q.visible, it.byVisible)
}

func (q *queue) remove(it *item) {
	delete(q.items, it.ID)
	heap.Remove(&q.visible, it.byVisible)
	if it.Expires.Before(Never()) {
		heap.Remove(&q.expiry, it.byExpiry)
	}
}

// expire removes what has expired.
func (q *queue) expire(now time.Time) {
	for len(q.expiry.list) > 0 && !q.expiry.list[0].Expires.After(now) {
		q.remove(q.expiry.list[0])
	}
}

// first returns the first n visible messages, fewer where there are fewer.
func (q *queue) first(n int, now time.Time) []*item {
	var found []*item
	for len(found) < n && len(q.visible.list) > 0 && !q.visible.list[0].Visible.After(now) {
		it, _ := heap.Pop(&q.visible).(*item)
		found = append(found, it)
	}
	for _, it := range found {
		heap.Push(&q.visible, it)
	}
	return found
}

// items is a heap of messages that know their places in it.
type items struct {
	list  []*item
	less  func(a, b *item) bool
	place func(*item) *int
}

// The methods of heap.Interface.

func (h *items) Len() int           { return len(h.list) }
func (h *items) Less(i, j int) bool { return h.less(h.list[i], h.list[j]) }

func (h *items) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	*h.place(h.list[i]), *h.place(h.list[j]) = i, j
}

func (h *items) Push(x any) {
	it, _ := x.(*item)
	*h.place(it) = len(h.list)
	h.list = append(h.list, it)
}

func (h *items) Pop() any {
	last := len(h.list) - 1
	it := h.list[last]
	h.list[last] = nil
	h.list = h.list[:last]
	return it
}
