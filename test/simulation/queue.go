package simulation

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// queueLink connects a process with the queue. It observes requests and answers.
type queueLink struct{ *process }

// operation is a request to the queue, or a drain of a message.
type operation struct {
	kind  string // put, take, update, delete, drain; other
	queue string
	id    string // of the message
	trace string // of the registration that is put
	by    string
	at    time.Duration
	// The result for the client.
	done     bool
	doubtful bool // the queue may have done it all the same
}

func operationOf(r *http.Request) operation {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // account, queue, "messages", id
	o := operation{kind: "other"}
	if len(parts) < 3 {
		return o
	}
	o.queue = parts[1]
	switch {
	case len(parts) == 4 && r.Method == http.MethodDelete:
		o.kind, o.id = "delete", parts[3]
	case len(parts) == 4 && r.Method == http.MethodPut:
		o.kind, o.id = "update", parts[3]
	case len(parts) == 3 && r.Method == http.MethodPost:
		o.kind = "put"
	case len(parts) == 3 && r.Method == http.MethodGet:
		o.kind = "take"
	}
	return o
}

// message is the body of a put, and a part of the answers.
type message struct {
	ID   string `xml:"MessageId"`
	Text string `xml:"MessageText"`
}

// RoundTrip makes a request, subject to the faults of the wires.
func (l queueLink) RoundTrip(r *http.Request) (*http.Response, error) {
	o := operationOf(r)
	o.by, o.trace = l.name, l.w.traceOf(o.id)
	if o.kind == "put" {
		r = r.Clone(r.Context())
		body, err := peek(&r.Body)
		if err != nil {
			return nil, err
		}
		var m message
		check(xml.Unmarshal(body, &m))
		o.trace = traceOf(m.Text)
	}
	if err := sleep(r.Context(), l.w.jitter(l.name, o.kind+o.trace)); err != nil {
		return nil, err
	}
	if l.step(o.kind + "-sent") {
		return nil, io.EOF
	}
	resp, body, doubtful, err := l.exchange(r)
	if err == nil && (l.step(o.kind+"-answered") || l.gone()) { // the queue's answer is lost
		resp, doubtful, err = nil, true, io.EOF
	}
	o.at, o.doubtful = time.Since(l.w.begin), doubtful
	o.done = err == nil && resp.StatusCode/100 == 2
	l.observe(o, body)
	return resp, err
}

// observe notes an operation, and the messages in its answer.
func (l queueLink) observe(o operation, body []byte) {
	var answer struct {
		Messages []message `xml:"QueueMessage"`
	}
	if o.done && (o.kind == "take" || o.kind == "put") {
		check(xml.Unmarshal(body, &answer)) //nolint:gosec // G709: the stand-in's answer
	}
	for _, m := range answer.Messages {
		o.id = m.ID
		if o.kind == "take" {
			o.trace = traceOf(m.Text)
			l.w.note(o)
		}
		l.w.learn(m.ID, o.trace)
	}
	if o.kind != "take" && o.kind != "other" {
		l.w.note(o)
	}
}

// exchange sends a request to the queue. doubtful says that the queue may have carried it out although there is an
// error.
func (l queueLink) exchange(r *http.Request) (resp *http.Response, body []byte, doubtful bool, err error) {
	l.mu.Lock()
	fault := l.queue
	l.mu.Unlock()
	switch {
	case l.gone(), fault == QueueRefuse:
		return nil, nil, false, refused()
	case fault == QueueSilent:
		<-r.Context().Done()
		return nil, nil, false, r.Context().Err()
	case l.clock.off() > signedFor:
		return refusal(r, http.StatusForbidden, "AuthenticationFailed"), nil, false, nil
	case fault == Queue500:
		return refusal(r, http.StatusInternalServerError, "InternalError"), nil, false, nil
	case fault == Queue503:
		return refusal(r, http.StatusServiceUnavailable, "ServerBusy"), nil, false, nil
	case fault == QueueSlow:
		if err := sleep(r.Context(), 300*time.Millisecond+300*l.w.jitter(l.name, "slow"+r.Method)); err != nil {
			return nil, nil, false, err
		}
	}
	resp, err = l.w.queueTransport.RoundTrip(r)
	if err != nil {
		return nil, nil, true, err
	}
	body, err = peek(&resp.Body) // all of it, because it arrives completely or not at all
	switch {
	case err != nil:
	case fault == QueueLost:
		err = io.EOF
	case r.Context().Err() != nil:
		err = r.Context().Err()
	default:
		return resp, body, false, nil
	}
	return nil, nil, true, err
}

// peek reads a body, and puts it back.
func peek(body *io.ReadCloser) ([]byte, error) {
	b, err := io.ReadAll(*body)
	_ = (*body).Close()
	*body = io.NopCloser(bytes.NewReader(b))
	return b, err
}

// refusal is the answer of a server to a request that it does not carry out.
func refusal(r *http.Request, status int, code string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"X-Ms-Error-Code": {code}}, Body: http.NoBody,
	}
}

func (w *world) note(o operation) {
	w.mu.Lock()
	w.operations = append(w.operations, o)
	w.mu.Unlock()
	w.logf("%s: queue %s done %v doubtful %v", o.by, o.kind, o.done, o.doubtful)
}

// learn notes the trace of a message. The message's id differs from run to run.
func (w *world) learn(id, trace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.traces[id] = trace
}

func (w *world) traceOf(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.traces[id]
}

// content is what a message of the outbox says, or one of the poison queue, which may wrap it with a reason.
type content struct {
	Parent  string `json:"traceparent"`
	Message string `json:"message"` // the wrapped one
}

func unpack(text string) (c content) {
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		_ = json.Unmarshal(b, &c) // what is none has no trace
	}
	return c
}

// traceOf returns the trace that a message of the outbox belongs to.
func traceOf(text string) string { return traceID(unpack(text).Parent) }

// traceID is the trace of a traceparent.
func traceID(parent string) string {
	parts := strings.Split(parent, "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}
