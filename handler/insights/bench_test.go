//go:build unix

package insights_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
	"userrelay/test/wait"
)

// accepting is an endpoint that accepts everything, without a network.
type accepting struct{ bytes atomic.Int64 }

func (a *accepting) RoundTrip(r *http.Request) (*http.Response, error) {
	n, err := io.Copy(io.Discard, r.Body)
	a.bytes.Add(n)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, err
}

// cpuTime is the processor time that the program has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// forgotten discards items.
type forgotten struct{}

func (forgotten) Track([]byte) {}

// requests returns a function that reports the n-th request, with ids that compress as in production.
func requests(sink insights.Sink) func(n int64) {
	telemetry := telemetryOf(sink)
	operations, events := make([]trace.Operation, 5000), make([]registration.Event, 5000)
	for i := range operations {
		op, other := trace.Start("", "").Child(), trace.Start("", "").TraceID
		op.InvocationID, op.Name = other[:8]+"-4f89-11d3-9a0c-"+other[8:20], "RegisterUser"
		operations[i] = op
		events[i] = registration.Event{ID: "a0pur_" + trace.Start("", "").TraceID, UserID: "auth0|" + other[:24], Source: "urn:auth0:acme"}
	}
	return func(n int64) {
		op, e := operations[n%5000], events[n%5000]
		md := delivery.RecordMetadata{Topic: "user-events", Partition: int(n) % 6, Offset: n}
		ctx := trace.NewContext(context.Background(), op)
		telemetry.Received(ctx, e)
		telemetry.Sent(ctx, delivery.SendAttempt{Event: e, Span: op, Start: time.Now(), Duration: time.Duration(n) * time.Microsecond, Metadata: md})
		telemetry.Forwarded(ctx, e, md)
	}
}

// BenchmarkMake measures encoding the three items of a request, without a sender.
func BenchmarkMake(b *testing.B) {
	report, n := requests(forgotten{}), int64(0)
	b.ReportAllocs()
	for ; b.Loop(); n++ {
		report(n)
	}
}

// BenchmarkSend measures the total cost of telemetry for a request: three items encoded, compressed and sent.
// cpu-ns/op is the time of all processors, including the sender's goroutine, for which the request does not wait.
func BenchmarkSend(b *testing.B) {
	endpoint := &accepting{}
	s := ingest.New(ingest.Config{Log: slog.New(slog.DiscardHandler), Transport: endpoint})
	report, n := requests(s), int64(0)
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	b.ReportAllocs()
	before := cpuTime()
	for ; b.Loop(); n++ {
		report(n)
		for n%500 == 0 && s.Stats().Pending > 8000 {
			<-pause.C
		}
	}
	s.Close(wait.Patience)
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(n), "cpu-ns/op")
	b.ReportMetric(float64(endpoint.bytes.Load())/float64(3*n), "wire-B/item")
	if st := s.Stats(); st.Accepted != 3*n {
		b.Fatalf("%d requests, %+v", n, st)
	}
}
