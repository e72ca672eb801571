package portal

import "time"

// Times after which waiting messages are tried again (handler/relay), and how long an ended outage is shown.
const (
	unknownHeld = 90 * time.Second
	failedHeld  = time.Minute
	toldFor     = 10 * time.Minute
	unexplained = 5 * time.Second // the queue has been empty for this long, and telemetry does not say where events went
)

// outage tracks a time in which Kafka accepts nothing, until all waiting events are stored.
type outage struct {
	since, back, over time.Time // over: all waiting events are stored as well
	unreachable       bool      // from here
	class             string    // why the handler keeps events, from its last item
	waiting           map[*Registration]bool
	total             int // that went into the outbox
	drained, poisoned int
	lost              int // with unknown result; set when the outage is over
	lastDrain, empty  time.Time
}

// outageState is the outage for the page.
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
	DrainMs     float64 `json:"drainMs"` // from Kafka's recovery to the last stored event
	NextTry     string  `json:"nextTry,omitempty"`
}

func (o *outage) on() bool { return !o.since.IsZero() && o.over.IsZero() }

// begin forgets the previous outage. Events that still wait belong to the new one.
func (o *outage) begin(at time.Time) {
	*o = outage{since: at, unreachable: o.unreachable, class: o.class, waiting: o.waiting, total: len(o.waiting)}
}

// kafka notes whether Kafka can be reached.
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

// item processes the handler's items about Kafka.
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

// changed processes the new outcome of a registration, which may equal the old one.
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

// state returns the outage for the page, or nil.
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
		return // telemetry arrives a second later
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

// nextTry returns when the first waiting event is tried again, or zero.
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
