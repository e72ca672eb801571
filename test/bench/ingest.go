package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
)

// ingest stands in for Application Insights: it accepts the handler's items, and counts them only on request, to use as
// little processor time as possible during a measurement.
type ingest struct {
	server  *httptest.Server
	mu      sync.Mutex
	batches [][]byte // packed, not counted yet
	count   int64
}

// startIngest starts an endpoint. The caller must stop it.
func startIngest() *ingest {
	i := new(ingest)
	i.server = httptest.NewServer(i)
	return i
}

// stop ends the endpoint, if there is one.
func (i *ingest) stop() {
	if i != nil {
		i.server.CloseClientConnections()
		i.server.Close()
	}
}

// ServeHTTP takes a batch. The answer is that of the ingestion endpoint (Monitor exporters API, v2.1/track), without the
// counts, which the handler does not read after a success.
func (i *ingest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	batch, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	i.batches = append(i.batches, batch)
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"itemsReceived":0,"itemsAccepted":0,"errors":[]}`) // the handler may have left
}

// items returns how many items have arrived: a line each.
func (i *ingest) items() (int64, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, batch := range i.batches {
		z, err := gzip.NewReader(bytes.NewReader(batch))
		if err != nil {
			return 0, fmt.Errorf("unpack the telemetry: %w", err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			return 0, fmt.Errorf("unpack the telemetry: %w", err)
		}
		i.count += int64(bytes.Count(bytes.TrimSpace(text), []byte("\n")) + 1)
	}
	i.batches = nil
	return i.count, nil
}
