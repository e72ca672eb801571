package functions

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/handler/registration"
)

// Drainer stores a message of the outbox in Kafka. If it returns no error the message may be deleted.
type Drainer interface {
	Drain(ctx context.Context, message []byte) error
}

// Limits of the queue trigger's messages in progress. The host sends at most 24 messages at a time (host.json,
// batchSize and newBatchThreshold), each of 64 KiB.
const (
	maxDrains     = 64
	maxInvocation = 1 << 20 // bytes
)

// drainOutbox is the function of the queue trigger. Unlike the HTTP functions it gets the host's invocation envelope.
// After a 2xx the host deletes the message; after any other answer it delivers the message again.
func (h *Handler) drainOutbox(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if h.stopping.Load() || !h.drains.enter() {
		problem{
			Status: http.StatusServiceUnavailable, Type: "busy", retryAfter: 1,
			Detail: "The function is busy or shutting down. The message stays in the queue.",
		}.write(w)
		return
	}
	defer h.drains.leave()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInvocation))
	if err != nil || unhurried(w) != nil { // too long for any message, or the host is gone
		w.Header().Set("Connection", "close")
		problem{Status: http.StatusBadRequest, Type: "invalid-invocation", Detail: "The body did not arrive, or is larger than 1 MiB."}.write(w)
		return
	}
	message, err := readInvocation(body)
	if err != nil {
		h.observer.NotDrained(ctx, registration.Event{}, err)
		problem{Status: http.StatusBadRequest, Type: "invalid-invocation", Detail: err.Error() + "."}.write(w)
		return
	}
	if err := h.drainer.Drain(ctx, message); err != nil {
		problem{
			Status: http.StatusInternalServerError, Type: "not-drained",
			Detail: "The message was not stored in Kafka. It stays in the queue.",
		}.write(w)
		return
	}
	// An empty answer would make the host wait until the function's time limit and kill the handler.
	writeJSON(w, http.StatusOK, "application/json", struct{}{})
}

// unhurried lifts the server's time limits, which are made for requests of a few seconds. Even the server's background
// read, which detects a closed connection, would end the request's context at the limit.
func unhurried(w http.ResponseWriter) error {
	c := http.NewResponseController(w)
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lift the time limit for reading: %w", err)
	}
	if err := c.SetWriteDeadline(time.Now().Add(drainWriteTimeout)); err != nil {
		return fmt.Errorf("lift the time limit for writing: %w", err)
	}
	return nil
}

var errNoMessage = errors.New("the body must be an invocation of the queue trigger: an object with Data, and in it the message")

// readInvocation returns the message that an invocation carries. Its encoding depends on the binding's dataType and on
// the host. All known and documented forms are read:
//
//	"eyJzcGVj…"             dataType binary: the bytes in base64
//	"\"{\\\"specversion…\"" dataType string: JSON text of a string, as a JSON string
//	"{\"specversion…"       the same, encoded once, as the documentation shows it
//	{"specversion…          the object itself
func readInvocation(body []byte) ([]byte, error) {
	var invocation struct {
		Data map[string]jsontext.Value `json:"Data"`
	}
	if err := json.Unmarshal(body, &invocation, jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, errNoMessage
	}
	value, ok := invocation.Data["message"]
	if !ok {
		if len(invocation.Data) != 1 {
			return nil, errNoMessage
		}
		for _, only := range invocation.Data { // the binding has another name
			value = only
		}
	}
	if value.Kind() != jsontext.KindString {
		return value, nil
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return nil, errNoMessage
	}
	if strings.HasPrefix(text, `"`) {
		var inner string
		if json.Unmarshal([]byte(text), &inner) == nil {
			return []byte(inner), nil
		}
	}
	if message, err := base64.StdEncoding.DecodeString(text); err == nil {
		return message, nil // or base64 again, where the host's messageEncoding is none: whoever reads the message knows
	}
	return []byte(text), nil
}
