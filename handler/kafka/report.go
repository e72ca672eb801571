package kafka

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
)

const (
	sayAgain = time.Minute // the shortest interval between two logs of the same trouble
	// The texts of explain are a fixed set, except those with unknown codes. Above this number the earlier ones are
	// forgotten.
	maxSaid = 100
)

// report logs trouble with Kafka for an operator, and its end.
type report struct {
	log   *slog.Logger
	topic string
	down  atomic.Bool // since is not zero

	mu          sync.Mutex
	said        map[string]time.Time // when, by text
	since, last time.Time            // the first and the last trouble; since is zero where there is none
}

func newReport(log *slog.Logger, topic string) *report {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &report{log: log, topic: topic, said: map[string]time.Time{}}
}

// trouble logs why Kafka does not accept records, each reason at most once a minute.
func (r *report) trouble(err *delivery.Error) {
	why, now := wire.Explain(err), time.Now()
	r.mu.Lock()
	if r.since.IsZero() {
		r.since = now
	}
	r.last = now
	r.down.Store(true)
	before, ok := r.said[why]
	silent := ok && now.Sub(before) < sayAgain
	if !silent {
		if len(r.said) >= maxSaid {
			clear(r.said)
		}
		r.said[why] = now
	}
	r.mu.Unlock()
	if !silent {
		r.log.Warn("Kafka does not accept records", "errorClass", string(err.Class), "why", why)
	}
}

// stored notes that a record was stored. The trouble goes on if other partitions still fail.
func (r *report) stored(waiting func() int) {
	const over = 2 * maxBackoff // a failing partition reports more often than that
	if !r.down.Load() {
		return
	}
	r.mu.Lock()
	since, last := r.since, r.last
	ends := !since.IsZero() && time.Since(last) > over
	if ends {
		r.end()
	}
	r.mu.Unlock()
	if ends {
		r.log.Info("Kafka accepts records again", "topic", r.topic, "outage", lasted(last.Sub(since)), "waiting", waiting())
	}
}

// answers notes that the cluster and the topic are known after they were not.
func (r *report) answers(waiting int) {
	r.mu.Lock()
	since := r.since
	r.end()
	r.mu.Unlock()
	r.log.Info("Kafka answers", "topic", r.topic, "outage", lasted(time.Since(since)), "waiting", waiting)
}

func (r *report) end() {
	r.since = time.Time{}
	r.down.Store(false)
}

func lasted(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
