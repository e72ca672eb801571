package functions_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/test/quiet"
)

// instant is a Kafka that stores at once.
type instant struct{}

func (instant) Check(context.Context) error { return nil }
func (instant) Produce(context.Context, registration.Record) (delivery.RecordMetadata, error) {
	return delivery.RecordMetadata{Topic: "user-events", Timestamp: time.UnixMilli(1)}, nil
}

// discard is a response writer that discards the answer.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkRegisterUser measures the handler's work for a registration, without the server, Kafka and telemetry. The
// handler remembers ids that callers choose, but not derived ones.
func BenchmarkRegisterUser(b *testing.B) {
	for name, chosen := range map[string]bool{"derived id": false, "chosen id": true} {
		b.Run(name, func(b *testing.B) {
			deliver := relay.New(relay.Config{
				Producer: instant{}, Outbox: quiet.Outbox{}, Observer: quiet.Observer{}, KafkaTimeout: time.Second, OutboxTimeout: time.Second,
			})
			defer deliver.Close(b.Context())
			h := functions.New(functions.Config{Deliver: deliver, Kafka: instant{}, Observer: quiet.Observer{}})
			body := strings.NewReader(`{"userId":"auth0|61de2511fd334200aa221dff"}`)
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/api/RegisterUser", nil)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Azure-Functions-InvocationId", "8de866f9-fe7c-4fcc-9c59-6cb4dad2d122")
			r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
			r.ContentLength = body.Size()
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if chosen {
					r.Header.Set("Idempotency-Key", strconv.Itoa(i))
				}
				if _, err := body.Seek(0, io.SeekStart); err != nil {
					b.Fatal(err)
				}
				r.Body = io.NopCloser(body)
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}
