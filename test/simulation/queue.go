package simulation

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// queueWires connect the machine of a host with the queue.
type queueWires struct {
	clock *clock // of the machine
	mu    sync.Mutex
	mode  string // "", 500, 503, lost, refuse, silent, slow
}

// queueLink connects a process with the queue. It observes requests and answers.
type queueLink struct {
	w     *world
	wires *queueWires
	name  string
	dead  *atomic.Bool
	step  func(name string) bool // nil: it dies at no step
}

// operation is a request to the queue.
type operation struct {
	kind  string // put, take, update, delete, other
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

// RoundTrip makes a request, subject to the faults of the wires.
func (l *queueLink) RoundTrip(r *http.Request) (*http.Response, error) {
	o, r, err := l.asked(r)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(l.w.jitter(l.name, o.kind+o.trace)):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if l.diesAt(o.kind + "-sent") {
		return nil, io.EOF
	}
	resp, doubtful, err := l.exchange(r)
	if err == nil && (l.diesAt(o.kind+"-answered") || l.dead.Load()) { // the queue's answer is lost
		_ = resp.Body.Close()
		resp, doubtful, err = nil, true, io.EOF
	}
	o.at, o.doubtful = time.Since(l.w.begin), doubtful
	o.done = err == nil && resp.StatusCode/100 == 2
	if o.done && (o.kind == "take" || o.kind == "put") {
		if err := l.read(resp, &o); err != nil {
			return nil, err
		}
	}
	l.w.note(o)
	return resp, err
}

// asked returns the operation of a request, and the request with its body already read.
func (l *queueLink) asked(r *http.Request) (operation, *http.Request, error) {
	o := operationOf(r)
	o.by, o.trace = l.name, l.w.traceOf(o.id)
	if o.kind != "put" || r.Body == nil {
		return o, r, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return o, nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	o.trace = traceOf(between(string(body), "<MessageText>", "</MessageText>"))
	return o, r, nil
}

func (l *queueLink) diesAt(step string) bool { return l.step != nil && l.step(step) }

// exchange sends a request to the queue. doubtful says that the queue may have carried it out although there is an
// error.
func (l *queueLink) exchange(r *http.Request) (resp *http.Response, doubtful bool, err error) {
	l.wires.mu.Lock()
	mode := l.wires.mode
	l.wires.mu.Unlock()
	switch {
	case l.dead.Load(), mode == "refuse":
		return nil, false, refused()
	case mode == "silent":
		<-r.Context().Done()
		return nil, false, r.Context().Err()
	case l.wires.clock.off() > signedFor:
		return refusal(r, http.StatusForbidden, "AuthenticationFailed"), false, nil
	case mode == "500":
		return refusal(r, http.StatusInternalServerError, "InternalError"), false, nil
	case mode == "503":
		return refusal(r, http.StatusServiceUnavailable, "ServerBusy"), false, nil
	case mode == "slow":
		select {
		case <-time.After(300*time.Millisecond + 300*l.w.jitter(l.name, "slow"+r.Method)):
		case <-r.Context().Done():
			return nil, false, r.Context().Err()
		}
	}
	resp, err = l.w.queueTransport.RoundTrip(r)
	if err != nil {
		return nil, true, err
	}
	// The whole answer is read, because it arrives completely or not at all.
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, true, err
	}
	if mode == "lost" {
		return nil, true, io.EOF
	}
	select {
	case <-r.Context().Done():
		return nil, true, r.Context().Err()
	default:
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, false, nil
}

// refusal is the queue's answer to a request that it does not carry out.
func refusal(r *http.Request, status int, code string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"X-Ms-Error-Code": {code}}, Body: io.NopCloser(strings.NewReader("")),
	}
}

// read notes the messages in an answer.
func (l *queueLink) read(resp *http.Response, o *operation) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	text := string(body)
	for {
		id := between(text, "<MessageId>", "</MessageId>")
		if id == "" {
			return nil
		}
		if o.kind == "put" {
			o.id = id
			l.w.learn(id, o.trace)
			return nil
		}
		one := *o
		one.id, one.trace = id, traceOf(between(text, "<MessageText>", "</MessageText>"))
		l.w.learn(id, one.trace)
		l.w.note(one)
		_, text, _ = strings.Cut(text, "</QueueMessage>")
	}
}

// learn notes the trace of a message. The message's id differs from run to run.
func (w *world) learn(id, trace string) {
	w.mu.Lock()
	w.traces[id] = trace
	w.mu.Unlock()
}

func (w *world) traceOf(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.traces[id]
}

func between(s, from, to string) string {
	_, s, ok := strings.Cut(s, from)
	if !ok {
		return ""
	}
	s, _, _ = strings.Cut(s, to)
	return s
}

// traceOf returns the trace that a message of the outbox belongs to.
func traceOf(text string) string {
	message, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return traceID(between(string(message), `"traceparent":"`, `"`))
}

// traceID is the trace of a traceparent.
func traceID(parent string) string {
	parts := strings.Split(parent, "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}

// queueDial connects to the stand-in for the queue.
func (w *world) queueDial(ctx context.Context, _, at string) (net.Conn, error) {
	return w.net.dial(ctx, &plainPath{w: w, name: "queue"}, at)
}
