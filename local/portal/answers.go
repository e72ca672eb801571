package portal

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
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
		Operation: q.Get("operation"), Text: q.Get("text"), Notes: q.Get("notes") == "true", Newest: newest,
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

// topicState has the topic's newest records.
type topicState struct {
	Readable bool      `json:"readable"`
	Reason   string    `json:"reason,omitempty"` // where they cannot be read
	Records  []*Record `json:"records"`          // as they were read last
}

func (p *Portal) records(w http.ResponseWriter, _ *http.Request) {
	state := topicState{Reason: "no Kafka is configured"}
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
		http.Error(w, "no Kafka is configured", http.StatusNotFound)
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

// state is the program's state for the page.
type state struct {
	Topic    string       `json:"topic"`
	Brokers  []string     `json:"brokers"`
	Broker   *brokerState `json:"broker"` // null: the broker belongs to somebody else
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

// detail is everything that is known about a registration.
type detail struct {
	Registration
	TookAll  float64   `json:"tookAll"` // from the first item's start to the last one's end, in ms
	Steps    []Step    `json:"steps"`
	Records  []Place   `json:"records"` // each once
	Exchange *Exchange `json:"exchange,omitempty"`
}

func (p *Portal) registration(w http.ResponseWriter, r *http.Request) {
	found, alone, ok := p.registrations.find(r.URL.Query().Get("key"))
	if !ok {
		http.Error(w, "there is no such registration here (any more)", http.StatusNotFound)
		return
	}
	d := detail{Registration: found, Steps: []Step{}, Records: []Place{}, Exchange: found.exchange}
	var items []*Item
	if found.Operation != "" {
		items = p.store.find(Query{Operation: found.Operation})
	}
	if !alone {
		items = slices.DeleteFunc(items, func(i *Item) bool { return !tells(i, found) })
	}
	if len(items) > 0 {
		t := newTransaction(found.Operation, items)
		d.Steps, d.Records, d.TookAll = t.Steps, t.Records, t.TookMs
	}
	if found.Place != nil && !slices.Contains(d.Records, *found.Place) {
		d.Records = append(d.Records, *found.Place)
	}
	writeJSON(w, http.StatusOK, d)
}

// tells says whether an item of the operation belongs to this registration.
func tells(i *Item, r Registration) bool {
	p := i.Properties
	if p["userId"] != "" || p["eventId"] != "" {
		return p["userId"] == r.UserID && p["eventId"] == r.EventID
	}
	return p["InvocationId"] == r.invocation
}

func (p *Portal) listRegistrations(w http.ResponseWriter, r *http.Request) {
	after := int64(0)
	if s := r.URL.Query().Get("after"); s != "" {
		var err error
		if after, err = strconv.ParseInt(s, 10, 64); err != nil || after < 0 {
			http.Error(w, "after must be a number", http.StatusBadRequest)
			return
		}
	}
	writeJSON(w, http.StatusOK, p.registrations.since(after))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, v) // the client may be gone
}
