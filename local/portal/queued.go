package portal

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// number reads a non-negative number.
func number(s string) (n float64, ok bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && n >= 0 && n < 1e15
}

// storedEvent is the part of an outbox message, a CloudEvent in JSON, that this package reads.
type storedEvent struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Subject     string `json:"subject"`
	Traceparent string `json:"traceparent"`
	QueuedTime  string `json:"queuedtime"`
	ErrorClass  string `json:"errorclass"`
}

var errNoEvent = errors.New("it is not an event")

func readEvent(content []byte) (storedEvent, error) {
	var e storedEvent
	if err := json.Unmarshal(content, &e); err != nil || e.SpecVersion == "" || e.ID == "" {
		return storedEvent{}, errNoEvent
	}
	return e, nil
}

// content decodes a message's text from base64, or returns the text itself if it is not base64.
func content(s string) (data []byte, isBase64 bool) {
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return []byte(s), false
	}
	return data, true
}

func newWaiting(m QueueMessage) waitingEvent {
	data, _ := content(m.Text)
	e, err := readEvent(data)
	if err != nil {
		return waitingEvent{Since: stamp(m.Inserted), at: m.Inserted, Visible: true, Text: *text(data)}
	}
	at := timeOr(e.QueuedTime, m.Inserted)
	w := waitingEvent{UserID: e.Subject, EventID: e.ID, ErrorClass: e.ErrorClass, Since: stamp(at), at: at, Visible: true}
	w.Operation = operationOf(e.Traceparent)
	return w
}

// operationOf returns the operation id of a traceparent.
func operationOf(traceparent string) string {
	if parts := strings.Split(traceparent, "-"); len(parts) == 4 {
		return parts[1]
	}
	return ""
}

// givenUp is a message of the poison queue as the handler writes it.
type givenUp struct {
	Reason       string  `json:"reason"`
	Message      *string `json:"message"`
	PoisonedTime string  `json:"poisonedtime"`
}

func newPoisoned(m QueueMessage) poisonedMessage {
	data, isBase64 := content(m.Text)
	out := poisonedMessage{ID: m.ID, Since: stamp(m.Inserted), at: m.Inserted, Reason: "the Functions host tried it too often"}
	var g givenUp
	if json.Unmarshal(data, &g) == nil && g.Reason != "" && g.Message != nil {
		out.Reason, out.at = g.Reason, timeOr(g.PoisonedTime, m.Inserted)
		out.Since = stamp(out.at)
		data, _ = content(*g.Message)
	} else if !isBase64 {
		out.Reason = "the Functions host could not read it: it is not base64"
	}
	out.Text = *text(data)
	if e, err := readEvent(data); err == nil {
		out.UserID, out.EventID, out.operation = e.Subject, e.ID, operationOf(e.Traceparent)
	}
	return out
}

func timeOr(s string, otherwise time.Time) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t
	}
	return otherwise
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
