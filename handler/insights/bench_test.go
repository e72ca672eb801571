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

	"github.com/microsoft/ApplicationInsights-Go/appinsights"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// accepting is an endpoint that takes everything, without a network.
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

// forgotten takes items and does nothing with them.
type forgotten struct{}

func (forgotten) Track(appinsights.Telemetry) {}

// BenchmarkMake is what making the three items of a request costs, without a sender.
func BenchmarkMake(b *testing.B) {
	telemetry := insights.New(insights.Config{Sink: forgotten{}, Log: slog.New(slog.DiscardHandler), Broker: "b-1.example.com", Topic: "user-events"})
	ctx, e, md := benchRequest()
	b.ReportAllocs()
	for b.Loop() {
		told(ctx, telemetry, e, md)
	}
}

// BenchmarkSend is what telemetry costs a request in all: three items made, packed and sent. cpu-ns/op is the time of
// all processors, also of the sender's goroutines, which the request does not wait for.
func BenchmarkSend(b *testing.B) {
	endpoint := &accepting{}
	s := newSender(b, insights.SenderConfig{Transport: endpoint})
	telemetry := insights.New(insights.Config{Sink: s, Log: slog.New(slog.DiscardHandler), Broker: "b-1.example.com", Topic: "user-events"})
	ctx, e, md := benchRequest()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		told(ctx, telemetry, e, md)
		md.Offset++
		for md.Offset%500 == 0 && s.Stats().Pending > 4000 {
			<-pause.C
		}
	}
	s.Close(limit)
	n := md.Offset
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(n), "cpu-ns/op")
	b.ReportMetric(float64(endpoint.bytes.Load())/float64(3*n), "wire-B/item")
	if st := s.Stats(); st.Accepted != 3*n {
		b.Fatalf("%d requests, %+v", n, st)
	}
}

func benchRequest() (context.Context, registration.Event, delivery.RecordMetadata) {
	op := trace.Start("", "").Child()
	op.InvocationID, op.Name = "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "RegisterUser"
	e := registration.Event{ID: "a0pur_0123456789abcdef0123456789abcdef", UserID: "auth0|65f0c0ffee65f0c0ffee65f0"}
	return trace.NewContext(context.Background(), op), e, delivery.RecordMetadata{Topic: "user-events", Partition: 3}
}

func told(ctx context.Context, t *insights.Telemetry, e registration.Event, md delivery.RecordMetadata) {
	t.Received(ctx, e)
	t.Sent(ctx, delivery.SendAttempt{Event: e, Span: trace.FromContext(ctx), Start: time.Now(), Duration: time.Millisecond, Metadata: md})
	t.Forwarded(ctx, e, md)
}
