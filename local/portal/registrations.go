package portal

import (
	"crypto/rand"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	keepRegistrations = 10_000 // as many as a person can read, and a page can show
	keepExchanges     = 500    // with bodies
)

// registrations keeps the newest registrations. They are smaller than items and therefore kept longer.
type registrations struct {
	mu           sync.Mutex
	run          string          // identifies this run
	all          []*Registration // in the order in which they became known
	last         int64           // number of the newest change
	unnamed      int             // requests without an operation
	gone         int             // that were known once
	byKey        map[string]*Registration
	byEvent      map[string]*Registration
	byInvocation map[string]*Registration
	inOperation  map[string]int  // how many there are
	exchanges    []*Registration // those that have one, the oldest first
	outage       outage
}

func newRegistrations() *registrations {
	return &registrations{
		run: rand.Text(), byKey: map[string]*Registration{}, byEvent: map[string]*Registration{}, byInvocation: map[string]*Registration{}, inOperation: map[string]int{},
		outage: outage{waiting: map[*Registration]bool{}},
	}
}

// add adds an item. It returns false if the item belongs to no registration.
func (a *registrations) add(item *Item) bool {
	p := item.Properties
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outage.item(item)
	operation := item.Tags["ai.operation.id"]
	var r *Registration
	switch {
	case item.Kind == "request" && item.Message == registrationName:
		r = a.byInvocation[p["InvocationId"]]
		if r == nil {
			r = &Registration{Operation: operation}
		}
	case p["userId"] != "" || p["eventId"] != "" && outcomeOf(p["event"]) != "":
		r = a.ofEvent(item, operation)
	default:
		if r = a.byInvocation[p["InvocationId"]]; r != nil && p["InvocationId"] != "" {
			a.changed(r) // an exception, a line of the host: the steps change
			return true
		}
		return false
	}
	before := r.Outcome
	r.take(item)
	a.keep(r)
	a.outage.changed(r, before, item.at)
	return true
}

// ofEvent returns the registration of an item with an event.
func (a *registrations) ofEvent(item *Item, operation string) *Registration {
	p := item.Properties
	if r := a.byEvent[eventKey(operation, p["eventId"], p["userId"])]; r != nil {
		if first := a.byInvocation[p["InvocationId"]]; first != nil && first != r && first.EventID == "" {
			r.takeRequestOf(first)
			a.forget(first, r)
		}
		return r
	}
	if p["event"] == "received" {
		if r := a.byInvocation[p["InvocationId"]]; r != nil && p["InvocationId"] != "" && r.EventID == "" {
			return r
		}
	}
	return &Registration{Operation: operation}
}

// takeRequestOf adds data about the same request from another source.
func (r *Registration) takeRequestOf(other *Registration) {
	r.Status, r.TookMs, r.exchange, r.invocation = other.Status, other.TookMs, other.exchange, other.invocation
	r.Request, r.Detail = other.Request, other.Detail
}

// saw adds an exchange, unless it was stored, because telemetry reports that.
func (a *registrations) saw(x *Exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.byInvocation[x.Invocation]
	if r == nil || x.Invocation == "" {
		r = &Registration{}
	}
	r.takeExchange(x)
	a.keep(r)
	a.exchanges = append(a.exchanges, r)
	if len(a.exchanges) > keepExchanges {
		a.exchanges[0].exchange = nil
		a.exchanges = a.exchanges[1:]
	}
}

// found adds an event from the topic or a queue. It is used only if telemetry has no data about it.
func (a *registrations) found(r Registration) (isNew bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.byEvent[eventKey(r.Operation, r.EventID, r.UserID)]
	if known != nil && (known.From == "" || known.Outcome == r.Outcome) {
		return false
	}
	if known == nil {
		known = &Registration{}
	}
	r.Key = known.Key
	*known = r
	a.keep(known)
	return true
}

// keep adds a registration to the index, and drops the oldest.
func (a *registrations) keep(r *Registration) {
	if r.Key == "" {
		r.Key = a.keyFor(r)
		a.byKey[r.Key] = r
		a.all = append(a.all, r)
		a.inOperation[r.Operation]++
	}
	if r.EventID != "" {
		a.byEvent[eventKey(r.Operation, r.EventID, r.UserID)] = r
	}
	if r.invocation != "" {
		a.byInvocation[r.invocation] = r
	}
	a.changed(r)
	for len(a.all) > keepRegistrations {
		oldest := a.all[0]
		a.all[0] = nil // the array lives on until append needs a larger one
		a.all = a.all[1:]
		a.gone++
		a.unlink(oldest)
	}
}

func (a *registrations) changed(r *Registration) {
	a.last++
	r.Number = a.last
}

// keyFor returns a unique key. It is the operation if that is unique, so that links stay valid.
func (a *registrations) keyFor(r *Registration) string {
	if r.Operation == "" {
		a.unnamed++
		return "request-" + strconv.Itoa(a.unnamed)
	}
	if a.byKey[r.Operation] != nil {
		return r.Operation + "-" + strconv.FormatInt(a.last+1, 10)
	}
	return r.Operation
}

// forget removes a registration that turned out to be part of another.
func (a *registrations) forget(r, whole *Registration) {
	a.all = slices.DeleteFunc(a.all, func(other *Registration) bool { return other == r })
	for i, other := range a.exchanges {
		if other == r {
			a.exchanges[i] = whole
		}
	}
	a.unlink(r)
}

func (a *registrations) unlink(r *Registration) {
	delete(a.byKey, r.Key)
	if a.inOperation[r.Operation]--; a.inOperation[r.Operation] == 0 {
		delete(a.inOperation, r.Operation)
	}
	if key := eventKey(r.Operation, r.EventID, r.UserID); a.byEvent[key] == r {
		delete(a.byEvent, key)
	}
	if a.byInvocation[r.invocation] == r {
		delete(a.byInvocation, r.invocation)
	}
	delete(a.outage.waiting, r)
}

// registrationList is the answer to GET /registrations.
type registrationList struct {
	Run    string `json:"run"`    // a new run: the earlier data is gone
	Newest int64  `json:"newest"` // number of the newest change
	Keeps  int    `json:"keeps"`  // at most so many
	Gone   int    `json:"gone"`   // number of forgotten ones
	Kept   int    `json:"kept"`   // a client with another number requests all again
	// Registrations has the changed ones, in the order of their arrival.
	Registrations []Registration `json:"registrations"`
}

// since returns the changes after a number; 0: all.
func (a *registrations) since(number int64) registrationList {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := registrationList{Run: a.run, Newest: a.last, Keeps: keepRegistrations, Gone: a.gone, Kept: len(a.all), Registrations: []Registration{}}
	for _, r := range a.all {
		if r.Number > number {
			list.Registrations = append(list.Registrations, *r)
		}
	}
	return list
}

// find returns one by its key, and whether it is the only one of its operation.
func (a *registrations) find(key string) (r Registration, alone, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.byKey[key]
	if found == nil {
		return Registration{}, false, false
	}
	return *found, a.inOperation[found.Operation] == 1, true
}

// outageState returns the outage for the page, if there was one.
func (a *registrations) outageState(look QueueLook, readable bool, now time.Time) *outageState {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.outage.state(look, readable, now)
}

// kafkaIs notes whether Kafka can be reached from here.
func (a *registrations) kafkaIs(reachable bool, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outage.kafka(reachable, now)
}
