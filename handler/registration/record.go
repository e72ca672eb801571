package registration

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxRecord is the largest record that Event.Record returns, in bytes as Record.Size counts them. Event Hubs closes
// the connection on a request of more than 1,046,528 bytes and advises 1,000,000 (Azure Event Hubs, "Apache Kafka
// client configurations", max.request.size); Kafka's own default for a topic is 1,048,588 (max.message.bytes).
const MaxRecord = 1_000_000

// Record is an event in Kafka: a CloudEvent in binary mode (CloudEvents, Kafka protocol binding 1.0.2, section 3.2).
type Record struct {
	Key     []byte // the user id
	Value   []byte // JSON: {"userId": …} and, where the event has a profile, "user"
	Headers []Header
}

// Header is one header of a record.
type Header struct {
	Key   string
	Value string
}

// Size returns an upper bound of the record's size in a batch, in bytes: lengths, deltas and attributes count with
// their maximum.
func (r *Record) Size() int {
	n := 32 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += 10 + len(h.Key) + len(h.Value)
	}
	return n
}

// Record returns the record of the event. Trace headers (traceparent, tracestate) follow the event's own. It omits a
// profile that makes the record larger than MaxRecord, as WithoutProfile does.
func (e Event) Record(trace ...Header) Record {
	r := Record{Key: []byte(e.UserID), Value: e.value(), Headers: append(e.headers(), trace...)}
	if r.Size() > MaxRecord && e.Profile != nil {
		return e.WithoutProfile().Record(trace...)
	}
	return r
}

func (e Event) value() []byte {
	b := make([]byte, 0, len(`{"userId":"","user":}`)+len(e.UserID)+len(e.Profile)+8)
	b = append(b, `{"userId":`...)
	b, _ = jsontext.AppendQuote(b, e.UserID) // its error speaks of invalid UTF-8, which Decode lets not pass; U+FFFD then
	if e.Profile != nil {
		b = append(b, `,"user":`...)
		b = append(b, e.Profile...)
	}
	return append(b, '}')
}

func (e Event) headers() []Header {
	h := append(make([]Header, 0, 14), // with those below, and two of the trace
		Header{"ce_specversion", "1.0"},
		Header{"ce_id", e.ID},
		Header{"ce_type", Type},
		Header{"ce_source", e.Source},
		Header{"ce_time", e.Time.UTC().Format(time.RFC3339Nano)},
		Header{"ce_subject", e.UserID},
		Header{"ce_dataschema", Schema},
		Header{"content-type", "application/json"},
	)
	if e.Test {
		h = append(h, Header{"ce_a0purpose", "test"})
	}
	if e.ProfileOmitted {
		h = append(h, Header{"ce_profileomitted", "true"})
	}
	if e.Auth0Source != "" {
		h = append(h, Header{"ce_auth0source", e.Auth0Source})
	}
	if e.Auth0ID != "" {
		h = append(h, Header{"ce_auth0eventid", e.Auth0ID})
	}
	return h
}
