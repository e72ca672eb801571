// Package faultproxy is a TCP proxy on loopback that breaks connections in chosen ways, for tests.
//
// Of Kafka's protocol it knows only the framing of requests and answers (4 bytes of length, then kind, version and
// correlation id), which is enough to act on the n-th request of a kind or on a share of them. TLS hides the framing.
//
// [Proxy.SetFaults] sets the faults from now on, also for open connections. [Proxy.CutAll] ends connections at once.
// [Proxy.Stats] counts. The proxy never changes bytes.
package faultproxy

import "time"

// Kinds of Kafka requests (their API keys) that rules are about.
const (
	Any     int16 = -1 // all kinds
	Produce int16 = 0
)

// Action is the effect of a rule on a connection.
type Action string

// The actions.
const (
	forward Action = ""
	// CutBefore: the target never sees the request.
	CutBefore Action = "cut before"
	// CutAfter cuts at once after forwarding: the target may or may not handle the request, no answer is delivered.
	CutAfter Action = "cut after"
	// CutOnAnswer cuts instead of delivering the answer: the target did handle the request. Earlier answers are delivered.
	CutOnAnswer Action = "cut on answer"
	// Silence leaves the connection open, but neither the request nor anything after it passes, in either direction.
	Silence Action = "silence"
)

// Rule picks requests by number or at random.
type Rule struct {
	// Key is the kind of request. The zero value is Produce.
	Key int16
	// Nth picks the n-th request of that kind, over all connections, counted from 1 when the rule was set. 0: none.
	Nth int
	// Share picks this share of the requests, 0 to 1, at random.
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
	// Delay delays every answer by this time. A connection's next answer is delayed when this one is delivered.
	Delay time.Duration
	// Reset cuts with a RST instead of a FIN. (A FIN also becomes a RST if bytes of the client are unread.)
	Reset bool
	// Rules act on requests. If several pick a request, the first one acts.
	Rules []Rule
}

// Stats counts since the proxy was made.
type Stats struct {
	Connections int            // accepted
	Open        int            // of them now open
	Requests    map[int16]int  // complete requests that came, by kind, whatever became of them
	Actions     map[Action]int // carried out by rules
}

// Cuts is the number of connections that rules have cut.
func (s Stats) Cuts() int {
	return s.Actions[CutBefore] + s.Actions[CutAfter] + s.Actions[CutOnAnswer]
}
