package simulation

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

const sinkAddress = "127.0.0.1:8080"

// sink is the endpoint of telemetry.
type sink struct {
	server    *http.Server
	transport *http.Transport
	fault     atomic.Int32 // see sinkLink
}

// startSink starts the endpoint if the handlers send telemetry.
func (w *world) startSink() {
	w.sink = &sink{
		server:    &http.Server{Handler: http.HandlerFunc(takeItems)}, //nolint:gosec // G112: no enemy is near
		transport: &http.Transport{DialContext: route{net: w.net}.dial},
	}
	if w.plan.Setup.Telemetry {
		l := must(w.net.Listen("tcp", sinkAddress))
		w.wg.Go(func() { _ = w.sink.server.Serve(l) })
	}
}

func (s *sink) close() {
	s.transport.CloseIdleConnections()
	_ = s.server.Close()
}

// takeItems accepts all items.
func takeItems(rw http.ResponseWriter, r *http.Request) {
	items, err := gzip.NewReader(r.Body)
	var lines []byte
	if err == nil {
		lines, err = io.ReadAll(items)
	}
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	n := bytes.Count(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n")) + 1
	_, _ = fmt.Fprintf(rw, `{"itemsReceived":%d,"itemsAccepted":%d,"errors":[]}`, n, n)
}

// sinkLink connects a handler with the endpoint.
type sinkLink struct{ *process }

// RoundTrip makes a request, subject to the endpoint's fault: 1, it refuses connections; 2, it answers 503; 3, it does
// not answer.
func (l sinkLink) RoundTrip(r *http.Request) (*http.Response, error) {
	fault := l.w.sink.fault.Load()
	switch {
	case l.gone(), fault == 1:
		return nil, refused()
	case fault == 2:
		return refusal(r, http.StatusServiceUnavailable, "ServerBusy"), nil
	case fault == 3:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return l.w.sink.transport.RoundTrip(r)
}
