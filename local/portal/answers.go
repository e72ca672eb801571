package portal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func (p *Portal) items(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	newest := 0
	if s := q.Get("newest"); s != "" {
		var err error
		if newest, err = strconv.Atoi(s); err != nil || newest < 1 {
			http.Error(w, "newest must be a number of items", http.StatusBadRequest)
			return
		}
	}
	writeJSON(w, http.StatusOK, p.store.find(Query{
		UserID: q.Get("userId"), EventID: q.Get("eventId"), InvocationID: q.Get("invocationId"),
		Operation: q.Get("operation"), Text: q.Get("text"), Newest: newest,
	}))
}

func (p *Portal) transaction(w http.ResponseWriter, r *http.Request) {
	operation := r.URL.Query().Get("operation")
	var items []*Item
	if operation != "" {
		items = p.store.find(Query{Operation: operation})
	}
	if len(items) == 0 {
		http.Error(w, "there are no items of this operation (any more)", http.StatusNotFound)
		return
	}
	writeJSON(w, http.StatusOK, newTransaction(operation, items))
}

// topicState is what is known of the topic's newest records.
type topicState struct {
	Readable bool      `json:"readable"`
	Reason   string    `json:"reason,omitempty"` // where they cannot be read
	Records  []*Record `json:"records"`          // as they were read last
}

func (p *Portal) records(w http.ResponseWriter, _ *http.Request) {
	state := topicState{Reason: "no Kafka is known to this program"}
	if p.topic != nil {
		newest, failed := p.topic.latest()
		state = topicState{Readable: failed == nil, Records: newest}
		if failed != nil {
			state.Reason = failed.Error()
		}
	}
	writeJSON(w, http.StatusOK, state)
}

func (p *Portal) record(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	partition, err := strconv.ParseInt(q.Get("partition"), 10, 32)
	offset, err2 := strconv.ParseInt(q.Get("offset"), 10, 64)
	if errors.Join(err, err2) != nil || partition < 0 || offset < 0 {
		http.Error(w, "partition and offset must be numbers", http.StatusBadRequest)
		return
	}
	if p.topic == nil {
		http.Error(w, "no Kafka is known to this program", http.StatusNotFound)
		return
	}
	record, err := p.topic.read(r.Context(), int32(partition), offset)
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, record)
	case errors.Is(err, errNoRecord):
		http.Error(w, err.Error(), http.StatusNotFound)
	default:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

type brokerState struct {
	Running bool `json:"running"`
}

func (p *Portal) brokerState(w http.ResponseWriter, _ *http.Request) {
	if p.config.Broker == nil {
		http.Error(w, "the broker is not started by this program", http.StatusNotFound)
		return
	}
	writeJSON(w, http.StatusOK, brokerState{p.config.Broker.Running()})
}

func (p *Portal) switchBroker(w http.ResponseWriter, r *http.Request) {
	var want brokerState
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<10), &want); err != nil {
		http.Error(w, `the body must be {"running": true} or {"running": false}`, http.StatusBadRequest)
		return
	}
	if broker := p.config.Broker; broker != nil {
		if !want.Running {
			broker.Pause()
		} else if err := broker.Resume(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		p.feed.stateChanged()
	}
	p.brokerState(w, r)
}

// state is what the page needs to know of the program.
type state struct {
	Topic    string       `json:"topic"`
	Brokers  []string     `json:"brokers"`
	Broker   *brokerState `json:"broker"` // null: somebody else's
	Function string       `json:"function,omitempty"`
	Curl     string       `json:"curl,omitempty"`
	Items    int          `json:"items"` // that are kept
}

func (p *Portal) state(w http.ResponseWriter, _ *http.Request) {
	s := state{Topic: p.config.Topic, Brokers: p.config.Brokers, Items: p.store.count()}
	if p.config.Broker != nil {
		s.Broker = &brokerState{p.config.Broker.Running()}
	}
	if f := p.function.Load(); f != nil {
		s.Function, s.Curl = f.URL, f.Curl
	}
	writeJSON(w, http.StatusOK, s)
}

// registered is what the function answered.
type registered struct {
	UserID string         `json:"userId"`
	Status int            `json:"status"`
	Answer jsontext.Value `json:"answer"`
}

func (p *Portal) register(w http.ResponseWriter, r *http.Request) {
	var who struct {
		UserID string `json:"userId"`
	}
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 4<<10), &who); err != nil {
		http.Error(w, `the body must be {"userId": "…"} or {}`, http.StatusBadRequest)
		return
	}
	f := p.function.Load()
	if f == nil {
		http.Error(w, "there is no function (yet)", http.StatusNotFound)
		return
	}
	if who.UserID == "" {
		id := make([]byte, 12)
		_, _ = rand.Read(id) // never fails
		who.UserID = "auth0|" + hex.EncodeToString(id)
	}
	answer, err := post(r.Context(), f.URL, who.UserID)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// The handler answers within 4 s; after a crash the host needs some seconds to start it again.
const registerLimit = 15 * time.Second

// post sends a registration as an Auth0 Action does.
func post(ctx context.Context, url, userID string) (registered, error) {
	ctx, cancel := context.WithTimeout(ctx, registerLimit)
	defer cancel()
	body, err := json.Marshal(map[string]string{"userId": userID})
	if err != nil {
		return registered{}, fmt.Errorf("make the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return registered{}, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true // rare enough
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return registered{}, errors.New("the function cannot be reached")
	}
	defer func() { _ = res.Body.Close() }()
	answer := jsontext.Value("null")
	if text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10)); err == nil && jsontext.Value(text).IsValid() {
		answer = text
	}
	return registered{UserID: userID, Status: res.StatusCode, Answer: answer}, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, v) // the client may have left
}
