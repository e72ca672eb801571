// Control is a relay that loses records: it answers 200 as soon as a record is written to a connection (acks=0). The
// Functions host can run it instead of the handler. A drill that does not detect its losses proves nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/segmentio/kafka-go"

	"userrelay/handler/parent"
)

const (
	produceLimit = 3 * time.Second
	headerLimit  = 5 * time.Second
	maxBody      = 1 << 20
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	if err := run(ctx, os.Getenv); err != nil { //nolint:forbidigo // the one place where settings come from
		_, _ = fmt.Fprintf(os.Stderr, "control: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

func run(ctx context.Context, getenv func(string) string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", getenv("FUNCTIONS_CUSTOMHANDLER_PORT")))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	w := &kafka.Writer{ //nolint:forbidigo // what must lose records
		Addr: kafka.TCP(strings.Split(getenv("KAFKA_BROKERS"), ",")...), Topic: getenv("KAFKA_TOPIC"),
		RequiredAcks: kafka.RequireNone, BatchTimeout: time.Millisecond, Balancer: kafka.Murmur2Balancer{Consistent: true},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {}) // the host's probe
	mux.HandleFunc("POST /api/RegisterUser", func(rw http.ResponseWriter, r *http.Request) { register(rw, r, w) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerLimit}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err = errors.Join(server.Close(), w.Close())
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// register answers like the handler, except the place, which is unknown here.
func register(rw http.ResponseWriter, r *http.Request, w *kafka.Writer) { //nolint:forbidigo // what must lose records
	var event struct {
		UserID  string `json:"userId"`
		EventID string `json:"eventId"`
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	if err != nil {
		http.Error(rw, "want a JSON object", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), produceLimit)
	defer cancel()
	err = w.WriteMessages(ctx, kafka.Message{
		Key: []byte(event.UserID), Value: body, Headers: []kafka.Header{{Key: "ce_id", Value: []byte(event.EventID)}},
	})
	if err != nil {
		http.Error(rw, "not written", http.StatusServiceUnavailable)
	}
}
