package simulation

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Every request must be answered within this time; the time between host and handler comes in addition.
const answerWithin = 4*time.Second + 20*time.Millisecond

// evidence is the judge's data.
type evidence struct {
	*world
	eras     []*era
	byTrace  map[string]*attempt
	byCall   map[int][]*attempt // in the order in which they were sent
	poisoned map[string]bool    // by trace
}

// judge returns the broken promises.
func (w *world) judge() Result {
	e := &evidence{world: w, eras: w.brokers.finish(), byTrace: map[string]*attempt{}, byCall: map[int][]*attempt{}}
	for _, a := range w.attempts {
		e.byTrace[a.trace] = a
		e.byCall[a.call] = append(e.byCall[a.call], a)
	}
	for _, attempts := range e.byCall {
		slices.SortFunc(attempts, func(a, b *attempt) int { return cmp.Compare(a.sent, b.sent) })
	}
	e.readPoison()
	r := Result{Answers: map[int]int{}, Copies: map[string]int{}, Events: len(w.log)}
	for _, era := range e.eras {
		r.Records += len(era.records)
		for _, s := range era.records {
			e.sound(s)
		}
	}
	for _, a := range w.attempts {
		r.Answers[a.status]++
		e.kept(a)
	}
	for _, era := range e.eras {
		e.explain(era, r.Copies)
	}
	r.Problems, r.Log = w.problems, w.text()
	return r
}

// sound checks a single record: a caller sent it, and its content is right.
func (e *evidence) sound(s record) {
	a := e.byTrace[traceID(s.header("traceparent"))]
	if a == nil {
		e.problem("NOBODY SENT the record at %d/%d: %q", s.Partition, s.Offset, s.Key)
		return
	}
	a.records = append(a.records, s)
	id, source := s.header("ce_id"), s.header("ce_source")
	switch {
	case string(s.Key) != a.c.User || source != "urn:auth0:"+a.c.Tenant:
		e.problem("WRONG: the record of call %d is %q of %q", a.call, s.Key, source)
	case a.stored() && id != a.body.EventID:
		e.problem("WRONG: the record of call %d has the id %q and not %q", a.call, id, a.body.EventID)
	}
	var value struct {
		UserID string         `json:"userId"`
		User   jsontext.Value `json:"user"`
	}
	if json.Unmarshal(s.Value, &value) != nil || value.UserID != a.c.User {
		e.problem("WRONG: the value of call %d is %.100q", a.call, s.Value)
	}
	omitted := s.header("ce_profileomitted") == "true"
	if wanted := e.plan.Setup.Profile; wanted == (value.User == nil && !omitted) || omitted && value.User != nil {
		e.problem("WRONG: the record of call %d has a profile: %v, and says that it was left out: %v", a.call, value.User != nil, omitted)
	}
}

// kept checks whether the promise of an answer was kept.
func (e *evidence) kept(a *attempt) {
	if a.took > answerWithin && !a.left {
		e.problem("TOO LATE: call %d was answered %d by %s after %v", a.call, a.status, a.by, a.took)
	}
	switch a.status {
	case 0:
	case http.StatusOK, http.StatusAccepted:
		e.lies(a)
	case http.StatusServiceUnavailable, http.StatusInternalServerError:
		e.refused(a)
	default:
		e.problem("STRANGE: call %d was answered %d %s", a.call, a.status, a.body.Type)
	}
}

// refused checks that registrations that were answered as certainly not stored are not.
func (e *evidence) refused(a *attempt) {
	switch kind := a.body.Type[strings.LastIndexByte(a.body.Type, ':')+1:]; kind {
	case "not-stored", "busy", "record-refused":
		for _, s := range a.records {
			e.problem("STORED: call %d was answered %s at %v, and its record lies at %d/%d", a.call, kind, a.answered, s.Partition, s.Offset)
		}
	}
}

// lies checks that registrations that were answered 2xx are in the right place.
func (e *evidence) lies(a *attempt) {
	attempts := e.byCall[a.call]
	found, placed := false, a.body.Outbox != ""
	for _, b := range attempts {
		for _, s := range b.records {
			if s.header("ce_id") != a.body.EventID || s.in.to < attempts[0].sent {
				continue
			}
			found = true
			placed = placed || s.in.from <= a.answered && s.Partition == a.body.Partition && s.Offset == a.body.Offset
		}
	}
	poisoned := slices.ContainsFunc(attempts, func(b *attempt) bool { return e.poisoned[b.trace] })
	switch {
	case !found && a.status == http.StatusAccepted && poisoned:
	case !found:
		e.problem("LOST: call %d was answered %d by %s at %v, and lies nowhere", a.call, a.status, a.by, a.answered)
	case !placed:
		e.problem("WRONG PLACE: call %d was told partition %d offset %d", a.call, a.body.Partition, a.body.Offset)
	}
}

// readPoison reads the poison queue, which may have only registrations that a broker rejects as invalid.
func (e *evidence) readPoison() {
	e.poisoned = map[string]bool{}
	for {
		got := must(e.poison.DequeueMessages(e.life, &azqueue.DequeueMessagesOptions{NumberOfMessages: new(int32(32))}))
		if len(got.Messages) == 0 {
			break
		}
		for _, m := range got.Messages {
			c := unpack(*m.MessageText)
			if c.Message != "" {
				c = unpack(c.Message)
			}
			e.poisoned[traceID(c.Parent)] = true
		}
	}
	invalid := slices.ContainsFunc(e.plan.Faults, func(f Fault) bool { return f.Kind == CodeBefore })
	if len(e.poisoned) > 0 && !invalid {
		e.problem("POISONED: %d messages, and no broker called anything invalid", len(e.poisoned))
	}
}
