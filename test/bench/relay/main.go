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

// run answers requests until ctx ends.
func run(ctx context.Context, getenv func(string) string) (err error) {
	h, topic := http.HandlerFunc(bare), getenv("KAFKA_TOPIC")
	if relay := getenv("RELAY"); relay != "net/http alone" {
		p, end, newErr := newProducer(relay, strings.Split(getenv("KAFKA_BROKERS"), ","), topic)
		if newErr != nil {
			return newErr
		}
		defer func() { err = errors.Join(err, end()) }()
		h = register(topic, p)
	}
	addr := net.JoinHostPort("127.0.0.1", getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
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
		out, err := json.Marshal(answer{event.ID, topic, at.Partition, at.Offset, now.UnixMilli()})
		if err != nil {
			panic(err) // a struct of text and numbers
		}
		write(w, out)
	}
}

// bare does the minimum of every relay: it reads the body and sends an answer as long as the handler's.
func bare(w http.ResponseWriter, r *http.Request) {
	const as = `{"eventId":"a0pur_0123456789abcdef0123456789abcdef","topic":"bench-ours","partition":3,"offset":123456,"timestamp":1789000000000}`
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "the body did not come", http.StatusBadRequest)
		return
	}
	write(w, []byte(as))
}

func write(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the caller may have left
}
