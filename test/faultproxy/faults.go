package faultproxy

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Framing says how the proxy separates requests.
type Framing int

// The framings.
const (
	Kafka Framing = iota // Kafka's protocol without TLS
	Bytes                // anything else
)

// Kinds of Kafka requests (their API keys) that rules are often about.
const (
	Any              int16 = -1 // in a rule: all kinds. In Stats: requests of connections without Kafka's framing
	Produce          int16 = 0
	Metadata         int16 = 3
	SaslHandshake    int16 = 17
	InitProducerID   int16 = 22
	SaslAuthenticate int16 = 36
)

// Action is the effect of a rule on a connection.
type Action int

// The actions.
const (
	forward     Action = iota
	CutBefore          // the target never sees the request
	CutAfter           // cut at once after it is forwarded: the target may or may not handle it, no answer is delivered
	CutOnAnswer        // cut instead of delivering its answer: the target did handle it. Earlier answers are delivered
	Silence            // the connection stays open, but neither the request nor anything after it passes, in either direction
)

func (a Action) String() string {
	switch a {
	case forward:
		return "forward"
	case CutBefore:
		return "cut before"
	case CutAfter:
		return "cut after"
	case CutOnAnswer:
		return "cut on answer"
	case Silence:
		return "silence"
	default:
		return fmt.Sprintf("Action(%d)", int(a))
	}
}

// Rule picks requests by number or at random.
type Rule struct {
	// Key is the kind of request. The zero value is Produce. The framing Bytes ignores it.
	Key int16
	// Nth picks the n-th request of that kind, over all connections, counted from 1 when the rule was set. 0: none.
	Nth int
	// Share picks this share of the requests, 0 to 1.
	Share float64
	// Do lists the actions; one is drawn for every request picked. At least one.
	Do []Action
}

// Faults are the faults to inject. The zero value forwards everything.
type Faults struct {
	// Refuse refuses new connections, as if nothing listened. Open ones continue; see CutAll.
	Refuse bool
	// BlackHole forwards nothing in either direction, on new connections and on open ones. New ones are accepted. The
	// held data passes when BlackHole is switched off, as after a network partition.
	BlackHole bool
	// Delay delays every piece of an answer by this time, independent of other data on the same or other connections.
	// Go's timers make it up to a millisecond longer.
	Delay time.Duration
	// DripEvery delivers the bytes of answers one by one at this interval.
	DripEvery time.Duration
	// Reset cuts with a RST instead of a FIN. (A FIN also becomes a RST if bytes of the client are unread.)
	Reset bool
	// Rules act on requests. If several pick a request, the first one acts.
	Rules []Rule
}

func (f Faults) check() error {
	if f.Delay < 0 || f.DripEvery < 0 {
		return errors.New("a negative time")
	}
	for i, r := range f.Rules {
		switch {
		case len(r.Do) == 0:
			return fmt.Errorf("rule %d has nothing to do", i)
		case slices.ContainsFunc(r.Do, func(a Action) bool { return a < CutBefore || a > Silence }):
			return fmt.Errorf("rule %d has an unknown action", i)
		case r.Nth < 0 || r.Share < 0 || r.Share > 1 || r.Nth == 0 && r.Share == 0:
			return fmt.Errorf("rule %d picks no request", i)
		}
	}
	return nil
}

// Stats counts since the proxy was made.
type Stats struct {
	Connections int            // accepted
	Open        int            // of them now open
	Requests    map[int16]int  // complete requests that came, by kind, whatever became of them
	Actions     map[Action]int // carried out by rules
	Malformed   int            // connections cut because their bytes were not Kafka's protocol
}

// Cuts is the number of connections that rules have cut.
func (s Stats) Cuts() int {
	return s.Actions[CutBefore] + s.Actions[CutAfter] + s.Actions[CutOnAnswer]
}
