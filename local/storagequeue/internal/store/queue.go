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
	name     string
	disk     *disk
	metadata map[string]string
	items    map[string]*item
	visible  items // the first to be returned on top: visible for longest, then put first
	expiry   items // those that expire, the first to expire on top
	puts     uint64
}

func newQueue(name string, metadata map[string]string, d *disk) *queue {
	q := &queue{name: name, disk: d, metadata: metadata}
	q.reset()
	return q
}

func (q *queue) clear() {
	q.reset()
	q.disk.add(writeClear(q.name))
}

func (q *queue) reset() {
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

func (q *queue) put(m Message) error {
	text, err := q.disk.encode(m)
	if err != nil {
		return err
	}
	q.insert(m, q.puts+1)
	q.disk.add(writeMessage(q.name, q.puts, text))
	return nil
}

// insert adds a message that is on disk, or will be. Its number is more than that of any other.
func (q *queue) insert(m Message, number uint64) {
	q.puts = number
	it := &item{Message: m, number: number}
	q.items[m.ID] = it
	heap.Push(&q.visible, it)
	if m.Expires.Before(Never()) {
		heap.Push(&q.expiry, it)
	}
}

// set changes what Get and Update change: all but the id and the expiry.
func (q *queue) set(it *item, m Message) error {
	text, err := q.disk.encode(m)
	if err != nil {
		return err
	}
	it.Message = m
	heap.Fix(&q.visible, it.byVisible)
	q.disk.add(writeMessage(q.name, it.number, text))
	return nil
}

func (q *queue) remove(it *item) {
	delete(q.items, it.ID)
	heap.Remove(&q.visible, it.byVisible)
	if it.Expires.Before(Never()) {
		heap.Remove(&q.expiry, it.byExpiry)
	}
	q.disk.add(writeDelete(q.name, it.number))
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
