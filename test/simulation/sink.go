package simulation

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"

	"userrelay/handler/insights/ingest"
)

const sinkAddress = "127.0.0.1:8080"

// sink is the endpoint of telemetry.
type sink struct {
	w         *world
	server    *http.Server
	transport *http.Transport
	mode      atomic.Int32 // 0: it accepts items; 1: refuses connections; 2: 503; 3: does not answer
	items     atomic.Int64
	served    chan struct{}
}

func newSink(w *world) *sink {
	s := &sink{w: w, served: make(chan struct{})}
	if !w.plan.Setup.Telemetry {
		close(s.served)
		return s
	}
	l, err := w.net.listen(sinkAddress)
	w.must(err)
	s.server = &http.Server{Handler: s} //nolint:gosec // G112: no enemy is near
	s.transport = &http.Transport{DialContext: func(ctx context.Context, _, at string) (net.Conn, error) {
		c, err := w.net.dial(ctx, &plainPath{w: w, name: "sink"}, at)
		if err != nil {
			return nil, err
		}
		return c, nil
	}}
	go func() {
		_ = s.server.Serve(l)
		close(s.served)
	}()
	return s
}

func (s *sink) close() {
	if s.server != nil {
		s.transport.CloseIdleConnections()
		_ = s.server.Close()
	}
	<-s.served
}

func (s *sink) connection() ingest.Connection {
	c, err := ingest.ParseConnection("InstrumentationKey=01234567-89ab-cdef-0123-456789abcdef;IngestionEndpoint=http://" + sinkAddress)
	s.w.must(err)
	return c
}

// ServeHTTP accepts items.
func (s *sink) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	unpacked, err := gzip.NewReader(r.Body)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(unpacked)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	n := bytes.Count(body, []byte("\n"))
	if len(body) > 0 && body[len(body)-1] != '\n' {
		n++
	}
	s.items.Add(int64(n))
	_, _ = fmt.Fprintf(rw, `{"itemsReceived":%d,"itemsAccepted":%d,"errors":[]}`, n, n)
}

// sinkLink connects a handler with the endpoint.
type sinkLink struct {
	w    *world
	dead *atomic.Bool
}

// RoundTrip makes a request, subject to the endpoint's faults.
func (l *sinkLink) RoundTrip(r *http.Request) (*http.Response, error) {
	mode := l.w.sink.mode.Load()
	switch {
	case l.dead.Load(), mode == 1:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case mode == 2:
		return &http.Response{
			StatusCode: http.StatusServiceUnavailable, ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: http.Header{}, Body: http.NoBody,
		}, nil
	case mode == 3:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return l.w.sink.transport.RoundTrip(r)
}
