package kafka

import (
	"math"
	"slices"
	"time"
)

// Which lanes may be busy. A request costs broker and client some 50-100 µs of CPU whatever it carries, so that many
// lanes are many small requests; with a long round trip few lanes are long waits.
const (
	lanesPerBroker = 8
	fewLanes       = 2                      // may always be busy: one waits for its answer while the other collects
	perLane        = 500 * time.Microsecond // one more for every so much of a round trip
	bigBatch       = 32                     // so many waiting records are worth a request of their own
	// A record that waits longer than this while lanes are busy waits for one whose broker or connection is stuck.
	stuckAfter = 25 * time.Millisecond
)

// broker is a leader of partitions: what waits for it, and the lanes that send it. It is guarded by dispatcher.mu.
type broker struct {
	id    int32
	queue queue

	idle       []*lane // last in, first out: the warmest goes first
	busy       int     // lanes that collect or have a request in flight; one that repeats batches does not count
	collecting bool    // a lane is about to empty the queue: nobody need start another
	roundTrip  floor

	// Times at which something is due; zero: nothing. dispatcher.tick clears them.
	stuckAt time.Time     // if watched still waits then, the busy lanes are no help
	watched *item         // the first of the queue
	retryAt time.Time     // a broker that does not let lanes connect is left alone until then
	backoff time.Duration // the last one of retryAt
	quietAt time.Time     // the broker's quotas are used up until then (KIP-219)
}

// mayOpen says whether one more lane may take what waits. With few busy it always may: a record never waits for a timer.
func (b *broker) mayOpen() bool {
	if b.busy < fewLanes || b.queue.len >= bigBatch {
		return true
	}
	r := b.roundTrip.get()
	return r != math.MaxInt64 && time.Duration(b.busy)*perLane < r
}

// open takes an idle lane, which the caller must have run, or returns nil. One that is connected goes first.
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

// anyConnected says whether an idle lane could send at once.
func (b *broker) anyConnected() bool {
	return slices.ContainsFunc(b.idle, func(l *lane) bool { return l.connected })
}

// floor keeps the smallest round trip of this and the previous second. An average would grow with the queue in the broker
// that too many lanes make, and then ask for more lanes.
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
