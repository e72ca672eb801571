package portal

import "time"

// Times after which what waits is tried again (handler/relay), and for how long an outage that is over is told.
const (
	unknownHeld = 90 * time.Second
	failedHeld  = time.Minute
	toldFor     = 10 * time.Minute
	unexplained = 5 * time.Second // the queue is empty for so long, and telemetry does not say where events went
)

// outage follows what happens while Kafka takes nothing, and until all that waited is stored.
type outage struct {
	since, back, over time.Time // over: all that waited is stored, too
	unreachable       bool      // from here
	class             string    // why the handler keeps events, as it said last
	waiting           map[*Registration]bool
	total             int // that went into the outbox
	drained, poisoned int
	lost              int // of which nothing is known; only when it is over
	lastDrain, empty  time.Time
}

// outageState is what the page is told.
type outageState struct {
	Since       string  `json:"since"`
	Back        string  `json:"back,omitempty"` // Kafka is
	Over        string  `json:"over,omitempty"`
	Unreachable bool    `json:"unreachable"`
	Class       string  `json:"class,omitempty"`
	Total       int     `json:"total"`
	Waiting     int     `json:"waiting"`
	Drained     int     `json:"drained"`
	Poisoned    int     `json:"poisoned"`
	Lost        int     `json:"lost"`
	DrainMs     float64 `json:"drainMs"` // from Kafka's return to the last one that was stored
	NextTry     string  `json:"nextTry,omitempty"`
}

func (o *outage) on() bool { return !o.since.IsZero() && o.over.IsZero() }

// begin forgets the outage before. What waits still is part of this one.
func (o *outage) begin(at time.Time) {
	*o = outage{since: at, unreachable: o.unreachable, class: o.class, waiting: o.waiting, total: len(o.waiting)}
}

// kafka takes whether Kafka can be reached.
func (o *outage) kafka(reachable bool, now time.Time) {
	switch o.unreachable = !reachable; {
	case !reachable && !o.on():
		o.begin(now)
	case !reachable:
		o.back = time.Time{}
	case o.on() && o.back.IsZero():
		o.back = now
	}
}

// item takes what the handler says of Kafka.
func (o *outage) item(item *Item) {
	switch p := item.Properties; p["event"] {
	case "diverted":
		if !o.on() {
			o.begin(item.at)
		}
	case "resumed":
		if !o.on() {
			return
		}
		if o.back.IsZero() || item.at.Before(o.back) {
			o.back = item.at
		}
		if ms, ok := number(p["awayMs"]); ok {
			if since := item.at.Add(-time.Duration(ms * float64(time.Millisecond))); since.Before(o.since) {
				o.since = since
			}
		}
	}
}

// changed takes that a registration has another outcome, or the same.
func (o *outage) changed(r *Registration, before string, at time.Time) {
	switch {
	case r.Outcome == before:
	case r.Outcome == waiting:
		if !o.on() {
			o.begin(at)
		}
		o.waiting[r] = true
		o.total++
		o.class = r.ErrorClass
	case o.waiting[r]:
		delete(o.waiting, r)
		if r.Outcome == poisoned {
			o.poisoned++
			return
		}
		o.drained++
		if at.After(o.lastDrain) {
			o.lastDrain = at
		}
		if o.back.IsZero() && !o.unreachable || at.Before(o.back) {
			o.back = at
		}
	}
}

// state returns what is to be told now; nil: nothing.
func (o *outage) state(look QueueLook, readable bool, now time.Time) *outageState {
	if o.since.IsZero() || !o.over.IsZero() && now.Sub(o.over) > toldFor {
		return nil
	}
	o.settle(look, readable, now)
	s := &outageState{
		Since: stamp(o.since), Unreachable: o.unreachable, Class: o.class, Total: o.total, Waiting: len(o.waiting),
		Drained: o.drained, Poisoned: o.poisoned, Lost: o.lost,
	}
	if readable && o.on() {
		s.Waiting = look.Count
	}
	if !o.back.IsZero() {
		s.Back = stamp(o.back)
		s.DrainMs = max(0, float64(o.lastDrain.Sub(o.back).Microseconds())/1e3)
	}
	if !o.over.IsZero() {
		s.Over, s.Waiting = stamp(o.over), 0
	}
	if next := o.nextTry(now); !next.IsZero() {
		s.NextTry = stamp(next)
	}
	return s
}

// settle ends the outage when nothing waits any more.
func (o *outage) settle(look QueueLook, readable bool, now time.Time) {
	if !o.on() || o.unreachable || !readable || look.Count > 0 {
		o.empty = time.Time{}
		return
	}
	if o.empty.IsZero() {
		o.empty = now
	}
	if len(o.waiting) > 0 && now.Sub(o.empty) < unexplained {
		return // telemetry comes a second later
	}
	o.lost = len(o.waiting)
	clear(o.waiting)
	if o.back.IsZero() {
		o.back = now
	}
	o.over = o.back
	if o.lastDrain.After(o.over) {
		o.over = o.lastDrain
	}
}

// nextTry is when the first of those that are held back is tried again; zero where none is.
func (o *outage) nextTry(now time.Time) (next time.Time) {
	for r := range o.waiting {
		var at time.Time
		switch {
		case !r.tried.IsZero():
			at = r.tried.Add(failedHeld)
		case r.ErrorClass == "unknown-outcome":
			at = r.told.Add(unknownHeld)
		}
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
