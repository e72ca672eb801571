package ingest

import (
	"bytes"
	"time"
)

// Limits of the items that wait for Application Insights. An item has 0.7 to 1 KB, so 17 MiB are 16,000 items or more:
// some seconds of outage at 1,000 registrations a second, half an hour at 3. This is telemetry's memory, apart from a
// spare buffer and a request's body.
const (
	maxWaiting    = 17 << 20 // bytes
	maxItem       = 64 << 10 // bytes; largest item that Application Insights accepts (service limits of Azure Monitor)
	maxBatchItems = 1000     // in one request
	maxBatchBytes = 1 << 20  // in one request, unpacked
	maxSpare      = 4        // number of batch buffers that are reused, so that a busy sender makes no garbage
)

// batch is the content of one request: items, each a line of JSON with a line feed.
type batch struct {
	lines []byte
	items int

	halved   bool  // it is half of a batch that was too large
	strikes  int   // how often it failed while others were accepted
	accepted int64 // batches that had been accepted when it failed last
}

// queue holds batches until they are settled. The last one accepts more items, so that a long outage makes a few large
// batches instead of many small ones.
type queue struct {
	sealed []batch // oldest first
	open   batch
	since  time.Time // when the open batch got its first item
	held   int       // bytes of memory of all batches, including the one that take returned last
	spare  [][]byte  // buffers for the next batches
}

func (q *queue) room(line []byte) bool {
	return q.held < maxWaiting || len(q.open.lines)+len(line) < cap(q.open.lines)
}

// add appends an item. It says whether the sender's goroutine must be woken.
func (q *queue) add(line []byte) (news bool) {
	if len(q.open.lines)+len(line) >= maxBatchBytes {
		q.seal()
		news = true
	}
	if q.open.items == 0 {
		q.since = time.Now()
		news = true
	}
	q.held -= cap(q.open.lines)
	q.open.lines = append(append(roomFor(q.open.lines, len(line)+1), line...), '\n')
	q.held += cap(q.open.lines)
	q.open.items++
	if q.open.items == maxBatchItems {
		q.seal()
		news = true
	}
	return news
}

// roomFor returns a slice with room for n more bytes. It grows by a factor of four, up to the largest batch.
func roomFor(b []byte, n int) []byte {
	if len(b)+n <= cap(b) {
		return b
	}
	return append(make([]byte, 0, max(len(b)+n, min(max(4*cap(b), 16<<10), maxBatchBytes))), b...)
}

// seal closes the open batch, so that it can be taken.
func (q *queue) seal() {
	if q.open.items > 0 {
		q.sealed = append(q.sealed, q.open)
		q.open = batch{}
		if last := len(q.spare) - 1; last >= 0 {
			q.open.lines, q.spare = q.spare[last][:0], q.spare[:last]
			q.held += cap(q.open.lines)
		}
	}
}

// take removes and returns the oldest sealed batch.
func (q *queue) take() (batch, bool) {
	if len(q.sealed) == 0 {
		return batch{}, false
	}
	first := q.sealed[0]
	q.sealed[0] = batch{}
	q.sealed = q.sealed[1:]
	return first, true
}

// back puts the batch that take returned where it was.
func (q *queue) back(b batch) { q.sealed = append([]batch{b}, q.sealed...) }

// settle releases the memory of the batch that take returned. The rest of it goes to the end of the queue, even behind
// the open batch: a batch that is refused repeatedly must not delay the others.
func (q *queue) settle(taken batch, left []batch) {
	q.held -= cap(taken.lines)
	if len(left) == 0 {
		if len(q.spare) < maxSpare {
			q.spare = append(q.spare, taken.lines)
		}
		return
	}
	q.seal()
	for _, l := range left {
		q.sealed = append(q.sealed, l)
		q.held += cap(l.lines)
	}
}

// pick returns a batch of the items with these indices, which must be ascending and within the batch.
func (b batch) pick(indices []int) batch {
	lines := b.lines
	b.lines, b.items = nil, len(indices)
	i := 0
	for line := range bytes.Lines(lines) {
		if len(indices) > 0 && indices[0] == i {
			indices = indices[1:]
			b.lines = append(b.lines, line...)
		}
		i++
	}
	return b
}

// halves splits the batch in two that share no memory.
func (b batch) halves() []batch {
	first, second := b, b
	first.items = b.items / 2
	second.items -= first.items
	end := 0
	for range first.items {
		end += bytes.IndexByte(b.lines[end:], '\n') + 1
	}
	first.lines, second.lines = b.lines[:end:end], b.lines[end:]
	first.halved, second.halved = true, true
	return []batch{first, second}
}
