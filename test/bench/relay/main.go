// Relay is a reference implementation for comparison with the handler: the same settings, HTTP contract and record with
// another producer, or without a producer. It is written as an expert in the library would write it, and does less
// than the handler: no telemetry, no limits, no classes of errors.
//
//	RELAY=franz-go FUNCTIONS_CUSTOMHANDLER_PORT=7000 KAFKA_BROKERS=127.0.0.1:9092 KAFKA_TOPIC=t relay
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/handler/parent"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	if err := run(ctx, os.Getenv); err != nil { //nolint:forbidigo // the one place where settings come from
		_, _ = fmt.Fprintf(os.Stderr, "relay: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

func run(ctx context.Context, getenv func(string) string) error {
	addr := net.JoinHostPort("127.0.0.1", getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	relay, topic := getenv("RELAY"), getenv("KAFKA_TOPIC")
	if relay == "net/http alone" {
		return serve(ctx, addr, bare())
	}
	store, end, err := newProducer(relay, strings.Split(getenv("KAFKA_BROKERS"), ","), topic)
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, addr, register(topic, store)), end())
}

// serve answers requests until ctx ends.
func serve(ctx context.Context, addr string, h http.Handler) error {
	server := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

const maxBody = 16 << 20 // bytes, as in the handler

// answer has the members of the handler's answer.
type answer struct {
	EventID   string `json:"eventId"`
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"` // ms since 1970
}

// register stores registrations.
func register(topic string, store produce) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet: // the host's probe, and the question for its health
			return
		case r.URL.Path != "/api/RegisterUser":
			http.NotFound(w, r)
			return
		}
		var in struct {
			UserID  string `json:"userId"`
			EventID string `json:"eventId"`
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil || json.Unmarshal(body, &in) != nil || in.UserID == "" {
			http.Error(w, "the body must be {\"userId\": …}", http.StatusBadRequest)
			return
		}
		now := time.Now()
		if in.EventID == "" {
			in.EventID = registration.DeriveID("", in.UserID, "")
		}
		event := registration.Event{ID: in.EventID, UserID: in.UserID, Source: "urn:auth0:unknown", Time: now}
		span := trace.Start(r.Header.Get("Traceparent"), "").Child()
		at, err := store(r.Context(), event.Record(registration.Header{Key: "traceparent", Value: span.Traceparent()}), now)
		if err != nil {
			http.Error(w, "not stored", http.StatusServiceUnavailable)
			return
		}
		write(w, answer{event.ID, topic, at.Partition, at.Offset, now.UnixMilli()}.encode())
	}
}

// bare does the minimum of every relay: it reads the body and sends an answer as long as the handler's.
func bare() http.HandlerFunc {
	as := answer{registration.DeriveID("", "u", ""), "bench-userrelay", 3, 123456, 1789000000000}.encode()
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "the body did not come", http.StatusBadRequest)
			return
		}
		write(w, as)
	}
}

func (a answer) encode() []byte {
	body, err := json.Marshal(a)
	if err != nil {
		panic(err) // a struct of text and numbers
	}
	return body
}

func write(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the caller may have left
}
