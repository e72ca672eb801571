package portal

import (
	"strings"
	"time"
)

// Registration is what is known about a registration, or about a request that was refused before it became one.
type Registration struct {
	Key       string `json:"key"`    // the same in later runs if there is an operation
	Number    int64  `json:"number"` // of its last change
	Time      string `json:"time"`   // RFC 3339
	UserID    string `json:"userId,omitempty"`
	EventID   string `json:"eventId,omitempty"`
	Source    string `json:"source,omitempty"`
	Operation string `json:"operation,omitempty"`

	Outcome    string `json:"outcome"`
	ErrorClass string `json:"errorClass,omitempty"`
	Status     int    `json:"status,omitempty"`  // of the answer to the caller; 0: unknown
	Request    string `json:"request,omitempty"` // method and path, of a refused request
	Detail     string `json:"detail,omitempty"`  // the answer's explanation, of such a request

	TookMs   *float64 `json:"tookMs,omitempty"`   // how long the caller waited
	QueuedMs *float64 `json:"queuedMs,omitempty"` // how long the event was in the outbox
	Place    *Place   `json:"place,omitempty"`
	// From is "topic" or "outbox" if that is the only source: telemetry of earlier runs is gone.
	From string `json:"from,omitempty"`

	invocation string
	received   bool // known from telemetry
	at         time.Time
	told       time.Time // time of the item that has the outcome
	tried      time.Time // the last failed attempt to drain it
	exchange   *Exchange // nil: not kept
}

// Outcomes of a registration.
const (
	underWay = "under-way"
	stored   = "stored"
	waiting  = "waiting"
	poisoned = "poisoned"
	refused  = "refused"
	answered = "answered" // with 2xx; the rest is unknown
	ignored  = "ignored"  // an event of another type
	repeated = "repeated" // it was stored before
)

// outcomeOf returns the outcome that an item's event means for its registration, or "".
func outcomeOf(event string) string {
	switch event {
	case "received":
		return underWay
	case "forwarded", "drained", "withdrawn":
		return stored
	case "outboxed":
		return waiting
	case "poisoned":
		return poisoned
	case "refused":
		return refused
	default:
		return ""
	}
}

// registrationName is the name of the function, and of the host's request rows.
const registrationName = "RegisterUser"

// take adds an item's data to the registration.
func (r *Registration) take(item *Item) {
	p := item.Properties
	if r.From != "" { // telemetry knows better
		r.From, r.at, r.Time = "", item.at, item.Time
	}
	r.UserID, r.EventID, r.Source = or(r.UserID, p["userId"]), or(r.EventID, p["eventId"]), or(r.Source, p["source"])
	r.Operation = or(r.Operation, item.Tags["ai.operation.id"])
	if item.Kind == "request" {
		r.takeRequest(item)
		return
	}
	if p["event"] == "received" || r.Time == "" || item.at.Before(r.at) {
		r.at, r.Time = item.at, item.Time
	}
	if outcome := outcomeOf(p["event"]); outcome != "" {
		r.takeOutcome(outcome, item)
	}
	if p["event"] == "undrained" {
		r.tried = item.at
	}
}

// takeOutcome sets the outcome of an item, unless a later item has set another.
func (r *Registration) takeOutcome(outcome string, item *Item) {
	p := item.Properties
	if outcome == underWay {
		r.invocation, r.received = p["InvocationId"], true
		if r.Outcome == "" || r.Outcome == answered {
			r.Outcome = underWay
		}
		return
	}
	if item.at.Before(r.told) {
		return
	}
	r.Outcome, r.ErrorClass, r.told = outcome, p["errorClass"], item.at
	if place, ok := placeOf(p); ok {
		r.Place = &place
	}
	if ms, ok := number(p["queuedMs"]); ok {
		r.QueuedMs = &ms
	}
	if r.TookMs == nil && r.received && p["event"] != "drained" && r.Outcome != poisoned {
		ms := float64(item.at.Sub(r.at).Microseconds()) / 1e3 // until the host tells
		r.TookMs = &ms
	}
}

// takeRequest adds the host's row of the request.
func (r *Registration) takeRequest(item *Item) {
	if status, ok := number(item.ResultCode); ok {
		r.Status = int(status)
	}
	if item.DurationMs != nil {
		r.TookMs = item.DurationMs
	}
	r.invocation = or(r.invocation, item.Properties["InvocationId"])
	if r.Time == "" {
		r.at, r.Time = item.at, item.Time
	}
	r.takeStatus()
}

// takeStatus derives the outcome from the answer's status if there is no better source.
func (r *Registration) takeStatus() {
	if r.Outcome != "" && r.Outcome != underWay {
		return
	}
	switch {
	case r.Status >= 400:
		r.Outcome = refused
	case r.Outcome == underWay && r.Status == 200 && r.exchange != nil && r.exchange.Replayed:
		r.Outcome = repeated
	case r.Outcome == "":
		r.Outcome = answered
	}
}

// takeExchange adds a request and its answer as the host saw them.
func (r *Registration) takeExchange(x *Exchange) {
	r.exchange, r.Status = x, x.Status
	r.Operation, r.invocation = or(r.Operation, x.Operation), or(r.invocation, x.Invocation)
	took := x.TookMs
	r.TookMs = &took
	if r.Time == "" {
		r.at, r.Time = x.at, x.Time
	}
	r.Request, r.Detail = x.Method+" "+x.Path, x.detail()
	switch {
	case x.Replayed && (r.Outcome == "" || r.Outcome == underWay || r.Outcome == answered):
		r.Outcome = repeated
	case x.ignored():
		r.Outcome = ignored
	default:
		r.takeStatus()
	}
}

// eventKey identifies a registration: a caller may send several in one operation.
func eventKey(operation, eventID, userID string) string {
	return strings.Join([]string{operation, eventID, userID}, "\x00")
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
