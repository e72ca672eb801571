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

const maxBatch = 16 << 20 // bytes, unpacked

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
	for i, raw := range envelopes {
		item, err := parseItem(raw)
		if err != nil {
			answer.Errors = append(answer.Errors, trackError{i, http.StatusBadRequest, err.Error()})
			continue
		}
		p.take(item)
		answer.ItemsAccepted++
	}
	if answer.ItemsAccepted > 0 {
		p.feed.itemsChanged()
	}
	status := http.StatusOK
	if len(answer.Errors) > 0 {
		status = http.StatusPartialContent
	}
	writeJSON(w, status, answer)
}

// take stores an item in the right place.
func (p *Portal) take(item *Item) {
	if item.Kind == "metric" {
		p.metrics.add(item)
		return
	}
	item.note = !p.registrations.add(item)
	p.store.add(item)
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
