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
type accepting struct{ posts, bytes atomic.Int64 }

func (a *accepting) RoundTrip(r *http.Request) (*http.Response, error) {
	n, err := io.Copy(io.Discard, r.Body)
	a.posts.Add(1)
	a.bytes.Add(n)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, err
}

// cpuTime is the processor time that the program has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// forgotten discards items.
type forgotten struct{}

func (forgotten) Track([]byte) {}

func benchTelemetry(sink insights.Sink) *insights.Telemetry {
	return insights.New(insights.Config{
		Sink: sink, Encoder: insights.NewEncoder(testNode()), Log: slog.New(slog.DiscardHandler), Broker: "b-1.example.com", Topic: "user-events",
	})
}

// BenchmarkMake measures encoding the three items of a request, without a sender.
func BenchmarkMake(b *testing.B) {
	telemetry, requests := benchTelemetry(forgotten{}), benchRequests()
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		requests[i%int64(len(requests))].tell(telemetry, i)
	}
}

// BenchmarkSend measures the total cost of telemetry for a request: three items encoded, compressed and sent.
// cpu-ns/op is the time of all processors, including the sender's goroutine, for which the request does not wait.
func BenchmarkSend(b *testing.B) {
	endpoint := &accepting{}
	connection, err := ingest.ParseConnection("InstrumentationKey=" + testKey)
	if err != nil {
		b.Fatal(err)
	}
	s := ingest.New(ingest.Config{Connection: connection, Log: slog.New(slog.DiscardHandler), Transport: endpoint})
	telemetry, requests := benchTelemetry(s), benchRequests()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	b.ReportAllocs()
	before, n := cpuTime(b), int64(0)
	for ; b.Loop(); n++ {
		requests[n%int64(len(requests))].tell(telemetry, n)
		for n%500 == 0 && s.Stats().Pending > 8000 {
			<-pause.C
		}
	}
	s.Close(wait.Patience)
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(n), "cpu-ns/op")
	b.ReportMetric(float64(endpoint.bytes.Load())/float64(3*n), "wire-B/item")
	if st := s.Stats(); st.Accepted != 3*n {
		b.Fatalf("%d requests, %+v", n, st)
	}
}

// benchRequest is a request with unique ids, so that its items compress as in production.
type benchRequest struct {
	op trace.Operation
	e  registration.Event
}

func benchRequests() []benchRequest {
	all := make([]benchRequest, 5000)
	for i := range all {
		op := trace.Start("", "").Child()
		other := trace.Start("", "").TraceID
		op.InvocationID, op.Name = other[:8]+"-4f89-11d3-9a0c-"+other[8:20], "RegisterUser"
		all[i].op = op
		all[i].e = registration.Event{ID: "a0pur_" + trace.Start("", "").TraceID, UserID: "auth0|" + other[:24], Source: "urn:auth0:acme"}
	}
	return all
}

func (r benchRequest) tell(t *insights.Telemetry, offset int64) {
	md := delivery.RecordMetadata{Topic: "user-events", Partition: int(offset) % 6, Offset: offset}
	ctx := trace.NewContext(context.Background(), r.op)
	t.Received(ctx, r.e)
	t.Sent(ctx, delivery.SendAttempt{Event: r.e, Span: r.op, Start: time.Now(), Duration: time.Duration(offset) * time.Microsecond, Metadata: md})
	t.Forwarded(ctx, r.e, md)
}
