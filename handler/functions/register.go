package functions

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// stored is the answer to a registration that is in Kafka. Topic, partition, offset and timestamp are named as in
// Kafka REST services.
type stored struct {
	EventID   string
	Topic     string
	Partition int
	Offset    int64
	Timestamp int64 // ms since 1970
}

// kept is the answer to a registration that is in the outbox.
type kept struct {
	EventID   string `json:"eventId"`
	Outbox    string `json:"outbox"` // name of the queue
	MessageID string `json:"messageId"`
}

// ignored is the answer to a CloudEvent of another type.
type ignored struct {
	Ignored string `json:"ignored"`
	EventID string `json:"eventId"`
}

// registerUser stores one registration.
func (h *Handler) registerUser(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if p := h.refuse(r); p != nil {
		p.write(w)
		return
	}
	if !h.gate.enter() {
		busy().write(w)
		return
	}
	defer h.gate.leave()

	body := upload{body: r.Body, gate: &h.gate, left: MaxBody}
	defer body.release()
	event, err := h.decoder.Decode(registration.Body{Reader: &body, Length: r.ContentLength, Room: &body},
		r.Header.Get("Idempotency-Key"), h.now())
	if err != nil {
		answerUndecoded(w, err)
		return
	}
	if event.TenantLeftOut {
		h.observer.TenantLeftOut(ctx, event)
	}
	outcome, err := h.deliver.Deliver(ctx, event)
	if err != nil {
		p := problemOf(err)
		p.EventID = event.ID
		p.write(w)
		return
	}
	answerStored(w, outcome)
}

func answerStored(w http.ResponseWriter, o relay.Outcome) {
	if o.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	switch o.Kind {
	case relay.InOutbox:
		writeJSON(w, http.StatusAccepted, "application/json", kept{EventID: o.EventID, Outbox: o.Outbox.Queue, MessageID: o.Outbox.ID})
	case relay.InKafka:
		write(w, http.StatusOK, "application/json", stored{
			EventID:   o.EventID,
			Topic:     o.Kafka.Topic,
			Partition: o.Kafka.Partition,
			Offset:    o.Kafka.Offset,
			Timestamp: o.Kafka.Timestamp.UnixMilli(),
		}.appendJSON(make([]byte, 0, 192)))
	default:
		panic("an outcome of no kind") // stored or not, who knows
	}
}

// appendJSON encodes the most frequent answer without reflection.
func (s stored) appendJSON(b []byte) []byte {
	b = append(b, `{"eventId":`...)
	b, _ = jsontext.AppendQuote(b, s.EventID) // its error speaks of invalid UTF-8; both are ASCII
	b = append(b, `,"topic":`...)
	b, _ = jsontext.AppendQuote(b, s.Topic)
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(s.Partition), 10)
	b = strconv.AppendInt(append(b, `,"offset":`...), s.Offset, 10)
	b = strconv.AppendInt(append(b, `,"timestamp":`...), s.Timestamp, 10)
	return append(b, '}')
}

// refuse makes the checks that do not need the body.
func (h *Handler) refuse(r *http.Request) *problem {
	switch {
	case h.stopping.Load():
		return busy()
	case !jsonType(strings.Join(r.Header.Values("Content-Type"), ",")):
		return &problem{
			Status: http.StatusUnsupportedMediaType, Type: "unsupported-media-type",
			Detail: "Content-Type: must be application/json, application/*+json, text/plain, application/x-www-form-urlencoded, or absent; the body must be JSON.",
		}
	case !plain(r.Header.Values("Content-Encoding")):
		return &problem{
			Status: http.StatusUnsupportedMediaType, Type: "unsupported-media-type",
			Detail: "Content-Encoding: must be absent.",
		}
	case r.ContentLength > MaxBody:
		return tooLarge()
	}
	return nil
}

// jsonType says whether a body of this media type is read as JSON. Real callers also send JSON without a type, as
// text/plain (fetch with a string) and as a form (curl -d).
func jsonType(contentType string) bool {
	switch contentType {
	case "", "application/json", "application/json; charset=utf-8", "text/plain;charset=UTF-8": // nearly all there are
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return false
	}
	switch t {
	case "application/json", "text/plain", "application/x-www-form-urlencoded":
		return true
	default:
		return strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json")
	}
}

func plain(encodings []string) bool {
	for _, e := range encodings {
		if e != "" && !strings.EqualFold(e, "identity") {
			return false
		}
	}
	return true
}

func answerUndecoded(w http.ResponseWriter, err error) {
	if other, ok := errors.AsType[*registration.IgnoredError](err); ok {
		writeJSON(w, http.StatusOK, "application/json", ignored{Ignored: other.Type, EventID: other.ID})
		return
	}
	if invalid, ok := errors.AsType[*registration.InvalidError](err); ok {
		problem{Status: http.StatusBadRequest, Type: "invalid-registration", Detail: invalid.Error() + "."}.write(w)
		return
	}
	unread(err).write(w)
}

// problemOf is the answer to a registration that is not known to be stored. It is 503 if the same request may be
// stored later, even if an operator must fix something first. It is never 429, which Auth0 Event Streams treats as
// final.
func problemOf(err error) problem {
	if errors.Is(err, relay.ErrIDTaken) {
		return problem{
			Status: http.StatusUnprocessableEntity, Type: "event-id-taken",
			Detail: "The event id (Idempotency-Key, eventId or the CloudEvent's id) belongs to the registration of another user. Use one id for one registration.",
		}
	}
	p := problem{
		Status: http.StatusServiceUnavailable, Type: "not-stored", retryAfter: 2,
		Detail: "The registration could not be stored. Send it again.",
	}
	switch delivery.ClassOf(err) {
	case delivery.Unavailable:
		p.retryAfter = 1
	case delivery.UnknownOutcome:
		p.Type = "outcome-unknown"
		p.Detail = "No answer came in time: the registration may or may not be stored. Send it again; a duplicate has the same event id."
	case delivery.Invalid:
		p = problem{Status: http.StatusInternalServerError, Type: "record-refused", Detail: "Kafka rejects the record as invalid. Sending it again does not help. The error was recorded."}
	case delivery.Throttled, delivery.NotAuthorized, delivery.UnknownTopic, delivery.TopicRule, delivery.TooLarge, delivery.Fatal:
	}
	return p
}

func busy() *problem {
	return &problem{
		Status: http.StatusServiceUnavailable, Type: "busy", retryAfter: 1,
		Detail: "The function is busy or shutting down. Send the registration again.",
	}
}

func tooLarge() *problem {
	return &problem{
		Status: http.StatusRequestEntityTooLarge, Type: "too-large",
		Detail: "body: must be at most 16 MiB. Send the user id alone: {\"userId\": \"…\"}.",
	}
}
