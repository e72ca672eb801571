// Package portal stands in for Application Insights on one machine: it takes telemetry as the ingestion endpoint does
// (Monitor exporters API, v2.1/track), keeps the newest items, and finds them by user id as the Azure portal does.
package portal

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Broker is the switch of the Kafka broker.
type Broker interface {
	Running() bool
	Resume() error
	Pause()
}

// Portal is the endpoint and the search.
type Portal struct {
	store  store
	broker Broker // nil where it is somebody else's
}

// New returns a portal. broker may be nil.
func New(broker Broker) *Portal { return &Portal{broker: broker} }

const maxBatch = 32 << 20 // bytes, unpacked

// Handler returns the portal's routes:
//
//	POST /v2.1/track, /v2/track   items, as Application Insights takes them
//	GET  /items                   search: userId, eventId, invocationId, operation (whole values), text (part of an item)
//	GET  /broker                  {"running": bool}
//	PUT  /broker                  the same, to stop and start it
//
// State cannot be changed by pages of other origins.
func (p *Portal) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2.1/track", p.track)
	mux.HandleFunc("POST /v2/track", p.track)
	mux.HandleFunc("GET /items", p.items)
	mux.HandleFunc("GET /broker", p.brokerState)
	mux.HandleFunc("PUT /broker", p.switchBroker)
	return http.NewCrossOriginProtection().Handler(mux)
}

// trackResponse is the endpoint's answer.
type trackResponse struct {
	ItemsReceived int          `json:"itemsReceived"`
	ItemsAccepted int          `json:"itemsAccepted"`
	Errors        []trackError `json:"errors"`
}

type trackError struct {
	Index      int    `json:"index"`
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
}

func (p *Portal) track(w http.ResponseWriter, r *http.Request) {
	envelopes, err := readBatch(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := trackResponse{ItemsReceived: len(envelopes), Errors: []trackError{}}
	for _, i := range p.store.add(envelopes) {
		answer.Errors = append(answer.Errors, trackError{i, http.StatusBadRequest, "not an envelope"})
	}
	answer.ItemsAccepted = answer.ItemsReceived - len(answer.Errors)
	status := http.StatusOK
	if len(answer.Errors) > 0 {
		status = http.StatusPartialContent
	}
	writeJSON(w, status, answer)
}

// readBatch reads a body of envelopes: one JSON array, or one object after another, packed with gzip or not.
func readBatch(r *http.Request) ([]jsontext.Value, error) {
	src := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, fmt.Errorf("unpack the body: %w", err)
		}
		src = unpacked
	}
	body, err := io.ReadAll(io.LimitReader(src, maxBatch+1))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if len(body) > maxBatch {
		return nil, errors.New("the body is too large")
	}
	var envelopes []jsontext.Value
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '[' {
		if err := json.Unmarshal(body, &envelopes); err != nil {
			return nil, fmt.Errorf("read the array: %w", err)
		}
		return envelopes, nil
	}
	for dec := jsontext.NewDecoder(bytes.NewReader(body)); ; {
		v, err := dec.ReadValue()
		if errors.Is(err, io.EOF) {
			return envelopes, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the items: %w", err)
		}
		envelopes = append(envelopes, v.Clone())
	}
}

func (p *Portal) items(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	writeJSON(w, http.StatusOK, p.store.find(Query{
		UserID: q.Get("userId"), EventID: q.Get("eventId"), InvocationID: q.Get("invocationId"),
		Operation: q.Get("operation"), Text: q.Get("text"),
	}))
}

type brokerState struct {
	Running bool `json:"running"`
}

func (p *Portal) brokerState(w http.ResponseWriter, _ *http.Request) {
	if p.broker == nil {
		http.Error(w, "the broker is not started by this program", http.StatusNotFound)
		return
	}
	writeJSON(w, http.StatusOK, brokerState{p.broker.Running()})
}

func (p *Portal) switchBroker(w http.ResponseWriter, r *http.Request) {
	var want brokerState
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<10), &want); err != nil {
		http.Error(w, `the body must be {"running": true} or {"running": false}`, http.StatusBadRequest)
		return
	}
	if p.broker != nil {
		if !want.Running {
			p.broker.Pause()
		} else if err := p.broker.Resume(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	p.brokerState(w, r)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, v) // the client may have left
}
