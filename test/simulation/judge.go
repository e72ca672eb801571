package simulation

import (
	"encoding/base64"
	"net/http"
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
	eras      []era
	byTrace   map[string]*attempt
	byCall    map[int][]*attempt
	byRequest map[string][]placed // by trace
	poisoned  map[string]bool     // by trace
	first     map[int]time.Duration
}

// placed is a record and its era.
type placed struct {
	stored
	in *era
}

// judge returns the broken promises.
func (w *world) judge() Result {
	e := &evidence{
		world: w, byTrace: map[string]*attempt{}, byCall: map[int][]*attempt{}, byRequest: map[string][]placed{},
		poisoned: map[string]bool{}, first: map[int]time.Duration{},
	}
	e.eras = w.brokers.finish()
	for _, a := range w.attempts {
		e.byTrace[a.trace] = a
		e.byCall[a.call] = append(e.byCall[a.call], a)
		if t, ok := e.first[a.call]; !ok || a.sent < t {
			e.first[a.call] = a.sent
		}
	}
	e.readPoison()
	r := Result{Answers: map[int]int{}, Copies: map[string]int{}, Events: len(w.log)}
	for i := range e.eras {
		r.Records += len(e.eras[i].records)
		for _, s := range e.eras[i].records {
			e.sound(s)
			trace := traceID(s.header["traceparent"])
			e.byRequest[trace] = append(e.byRequest[trace], placed{s, &e.eras[i]})
		}
	}
	for _, a := range w.attempts {
		r.Answers[a.status]++
		e.kept(a)
	}
	for i := range e.eras {
		e.explain(&e.eras[i], r.Copies)
	}
	r.Problems, r.Log = w.problems, w.text()
	return r
}

// sound checks a single record: a caller sent it, and its content is right.
func (e *evidence) sound(s stored) {
	a := e.byTrace[traceID(s.header["traceparent"])]
	switch {
	case a == nil:
		e.problem("NOBODY SENT the record at %d/%d: %q", s.partition, s.offset, s.key)
		return
	case s.key != a.c.User || s.source() != "urn:auth0:"+a.c.Tenant:
		e.problem("WRONG: the record of call %d is %q of %q", a.call, s.key, s.source())
	case a.stored() && s.id() != a.body.EventID:
		e.problem("WRONG: the record of call %d has the id %q and not %q", a.call, s.id(), a.body.EventID)
	}
	var value struct {
		UserID string         `json:"userId"`
		User   jsontext.Value `json:"user"`
	}
	if json.Unmarshal([]byte(s.value), &value) != nil || value.UserID != a.c.User {
		e.problem("WRONG: the value of call %d is %.100q", a.call, s.value)
	}
	omitted := s.header["ce_profileomitted"] == "true"
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
		for _, s := range e.byRequest[a.trace] {
			e.problem("STORED: call %d was answered %s at %v, and its record lies at %d/%d", a.call, kind, a.answered, s.partition, s.offset)
		}
	}
}

// lies checks that registrations that were answered 2xx are in the right place.
func (e *evidence) lies(a *attempt) {
	found, placed := false, a.body.Outbox != ""
	for _, b := range e.byCall[a.call] {
		for _, s := range e.byRequest[b.trace] {
			if s.id() != a.body.EventID || s.in.to < e.first[a.call] {
				continue
			}
			found = true
			placed = placed || s.in.from <= a.answered && s.partition == a.body.Partition && s.offset == a.body.Offset
		}
	}
	switch {
	case !found && a.status == http.StatusAccepted && e.isPoisoned(a.call):
	case !found:
		e.problem("LOST: call %d was answered %d by %s at %v, and lies nowhere", a.call, a.status, a.by, a.answered)
	case !placed:
		e.problem("WRONG PLACE: call %d was told partition %d offset %d", a.call, a.body.Partition, a.body.Offset)
	}
}

func (e *evidence) isPoisoned(call int) bool {
	for _, a := range e.byCall[call] {
		if e.poisoned[a.trace] {
			return true
		}
	}
	return false
}

// readPoison reads the poison queue, which may have only registrations that a broker rejects as invalid.
func (e *evidence) readPoison() {
	most := int32(32)
	for {
		got, err := e.poison.DequeueMessages(e.life, &azqueue.DequeueMessagesOptions{NumberOfMessages: &most})
		e.must(err)
		if len(got.Messages) == 0 {
			break
		}
		for _, m := range got.Messages {
			e.poisoned[poisonedTrace(*m.MessageText)] = true
		}
	}
	invalid := false
	for _, f := range e.plan.Faults {
		invalid = invalid || f.Kind == CodeBefore
	}
	if len(e.poisoned) > 0 && !invalid {
		e.problem("POISONED: %d messages, and no broker called anything invalid", len(e.poisoned))
	}
}

// poisonedTrace returns the trace of a message of the poison queue, in the outbox's format or wrapped with a reason.
func poisonedTrace(text string) string {
	if trace := traceOf(text); trace != "" {
		return trace
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	var wrapped struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(b, &wrapped) != nil {
		return ""
	}
	return traceOf(wrapped.Message)
}
