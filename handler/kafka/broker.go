package kafka

import (
	"math"
	"slices"
	"time"
)

// How many lanes may be busy. A request costs broker and client some 50-100 µs of CPU, whatever its size. Many lanes
// mean many small requests; few lanes mean long waits if the round trip is long.
const (
	lanesPerBroker = 8
	fewLanes       = 2                      // may always be busy: one waits for an answer while the other collects records
	perLane        = 500 * time.Microsecond // one more lane for each such part of the round trip
	bigBatch       = 32                     // this many waiting records justify another request
	// If a record waits longer than this while lanes are busy, their broker or connection is probably stuck.
	stuckAfter = 25 * time.Millisecond
)

// broker is a leader of partitions, with the queue of its records and the lanes that send them. It is guarded by
// dispatcher.mu.
type broker struct {
	id    int32
	queue queue

	idle       []*lane // last in, first out: the most recently used comes first
	busy       int     // lanes that collect records or have a request in flight; a repeating one does not count
	collecting bool    // a lane is about to empty the queue: no other lane need start
	roundTrip  floor

	// Times of due actions; zero: none. dispatcher.tick clears them.
	stuckAt time.Time     // if the item watched still waits then, the busy lanes are stuck
	watched *item         // the first of the queue
	retryAt time.Time     // no lane connects before, after a failed attempt
	backoff time.Duration // the last one of retryAt
	quietAt time.Time     // the broker's quotas are used up until then (KIP-219)
}

// mayOpen says whether one more lane may take waiting records. While few are busy it always may: a record never waits
// for a timer.
func (b *broker) mayOpen() bool {
	if b.busy < fewLanes || b.queue.len >= bigBatch {
		return true
	}
	r := b.roundTrip.get()
	return r != math.MaxInt64 && time.Duration(b.busy)*perLane < r
}

// open takes an idle lane, a connected one first, or returns nil. The caller must start the lane.
func (b *broker) open() *lane {
	i := len(b.idle) - 1
	for i >= 0 && !b.idle[i].connected {
		i--
	}
	if i < 0 {
		i = len(b.idle) - 1
		if i < 0 || !b.retryAt.IsZero() {
			return nil
		}
	}
	l := b.idle[i]
	b.idle = slices.Delete(b.idle, i, i+1)
	b.busy++
	b.collecting = l.connected // connecting may take long; another may be faster
	return l
}

// anyConnected says whether an idle lane is connected and could send at once.
func (b *broker) anyConnected() bool {
	return slices.ContainsFunc(b.idle, func(l *lane) bool { return l.connected })
}

// floor keeps the smallest round trip of this and the previous second. An average would grow with the broker's own
// queue when too many lanes are busy, and would then permit even more lanes.
type floor struct {
	now, before time.Duration
	since       time.Time
}

func newFloor() floor { return floor{now: math.MaxInt64, before: math.MaxInt64} }

func (f *floor) add(d time.Duration, at time.Time) {
	if at.Sub(f.since) > time.Second {
		f.before, f.now, f.since = f.now, math.MaxInt64, at
	}
	f.now = min(f.now, d)
}

func (f *floor) get() time.Duration { return min(f.now, f.before) }
