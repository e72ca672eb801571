package registration

import (
	"bytes"
	"encoding/base64"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxEnvelope is the largest message that Envelope.Encode returns, in bytes. A message of an Azure Storage queue has
// 64 KiB at most, and base64 encodes three bytes as four ("Put Message", remarks).
const MaxEnvelope = 48 << 10

// Envelope is an event in the outbox: a CloudEvent in structured mode (CloudEvents, JSON format 1.0.2), which a person
// can read.
type Envelope struct {
	Event Event
	// Traceparent and Tracestate identify the span that stored it in the outbox, or are empty.
	Traceparent, Tracestate string
	// Queued is when it was stored in the outbox.
	Queued time.Time
	// Reason is one word that says why it was not stored in Kafka.
	Reason string
	// Origin says which app accepted it, and for which Kafka.
	Origin Origin
}

// envelopeVersion is the version of the format. A release must read the format of the previous one. A format that the
// previous release cannot read needs a new number, so that after a rollback such messages stay in the queue.
const envelopeVersion = 1

// ErrNewerVersion says that a later version of the program wrote a message of the outbox, and only that version can
// read it.
var ErrNewerVersion = errors.New("the message has a form that this version of the program does not know")

// structured is the message's JSON. CloudEvents requires lower-case names of attributes without separators.
type structured struct {
	SpecVersion     string         `json:"specversion"`
	Version         int            `json:"userrelayversion"`
	ID              string         `json:"id"`
	Source          string         `json:"source"`
	Type            string         `json:"type"`
	Time            string         `json:"time"`
	Subject         string         `json:"subject"`
	DataContentType string         `json:"datacontenttype"`
	DataSchema      string         `json:"dataschema"`
	Purpose         string         `json:"a0purpose,omitzero"`
	ProfileOmitted  bool           `json:"profileomitted,omitzero"`
	Auth0Source     string         `json:"auth0source,omitzero"`
	Auth0ID         string         `json:"auth0eventid,omitzero"`
	Traceparent     string         `json:"traceparent,omitzero"`
	Tracestate      string         `json:"tracestate,omitzero"`
	QueuedTime      string         `json:"queuedtime"`
	ErrorClass      string         `json:"errorclass,omitzero"`
	OriginApp       string         `json:"originapp,omitzero"`
	OriginTopic     string         `json:"origintopic,omitzero"`
	OriginBrokers   string         `json:"originbrokers,omitzero"`
	Data            jsontext.Value `json:"data"`
}

// Encode returns the message's JSON. It omits a profile that makes the message larger than MaxEnvelope, as
// WithoutProfile does.
func (m Envelope) Encode() []byte {
	s := structured{
		SpecVersion: "1.0", Version: envelopeVersion, ID: m.Event.ID, Source: m.Event.Source, Type: Type,
		Time: m.Event.Time.UTC().Format(time.RFC3339Nano), Subject: m.Event.UserID, DataContentType: "application/json", DataSchema: Schema,
		ProfileOmitted: m.Event.ProfileOmitted, Auth0Source: m.Event.Auth0Source, Auth0ID: m.Event.Auth0ID, Traceparent: m.Traceparent, Tracestate: m.Tracestate,
		QueuedTime: m.Queued.UTC().Format(time.RFC3339Nano), ErrorClass: m.Reason, Data: m.Event.value(),
		OriginApp: m.Origin.App, OriginTopic: m.Origin.Topic, OriginBrokers: m.Origin.brokers(),
	}
	if m.Event.Test {
		s.Purpose = "test"
	}
	if len(s.Data) <= MaxEnvelope { // the encoder is slow with larger profiles
		b, err := json.Marshal(s, jsontext.AllowDuplicateNames(true))
		if m.Event.Profile == nil && err != nil {
			panic(err) // strings are made valid
		}
		if err == nil && (len(b) <= MaxEnvelope || m.Event.Profile == nil) { // the profile may use the maximal depth of JSON, and is nested deeper here
			return b
		}
	}
	m.Event = m.Event.WithoutProfile()
	return m.Encode()
}

// ParseEnvelope reads what Encode wrote, either directly or in base64: a Functions host with another messageEncoding
// delivers and poisons the base64 text. The error is an *InvalidError, or ErrNewerVersion.
func ParseEnvelope(b []byte) (Envelope, error) {
	if plain, err := base64.StdEncoding.AppendDecode(nil, b); err == nil && bytes.HasPrefix(plain, []byte("{")) {
		b = plain
	}
	if newer(b) {
		return Envelope{}, ErrNewerVersion
	}
	var s structured
	// Duplicate names occur in the profile only, if Auth0 sent them.
	if err := json.Unmarshal(b, &s, jsontext.AllowDuplicateNames(true)); err != nil {
		return Envelope{}, &InvalidError{"body", "must be a CloudEvent in JSON, as this program writes it into its outbox"}
	}
	m := Envelope{
		Event: Event{
			ID: s.ID, Chosen: true, UserID: s.Subject, Source: s.Source, Test: s.Purpose == "test",
			ProfileOmitted: s.ProfileOmitted,
		},
		Traceparent: s.Traceparent, Tracestate: s.Tracestate, Reason: s.ErrorClass,
		Origin: originOf(s.OriginApp, s.OriginTopic, s.OriginBrokers),
	}
	switch {
	case s.SpecVersion != "1.0":
		return Envelope{}, &InvalidError{"specversion", "must be 1.0"}
	case s.Version < 1:
		return Envelope{}, &InvalidError{"userrelayversion", "must be 1"}
	case s.Type != Type:
		return Envelope{}, &InvalidError{"type", "must be " + Type}
	case !validID(s.ID):
		return Envelope{}, &InvalidError{"id", idRule()}
	case !validUserID(s.Subject):
		return Envelope{}, &InvalidError{"subject", userIDRule()}
	case !validSource(s.Source):
		return Envelope{}, &InvalidError{"source", "must be a URI reference"}
	}
	// An unusable source must not cost the registration.
	if validSource(s.Auth0Source) {
		m.Event.Auth0Source = s.Auth0Source
	}
	if validID(s.Auth0ID) {
		m.Event.Auth0ID = s.Auth0ID
	}
	var err error
	if m.Event.Time, err = timeOf("time", s.Time); err != nil {
		return Envelope{}, err
	}
	if m.Queued, err = timeOf("queuedtime", s.QueuedTime); err != nil {
		return Envelope{}, err
	}
	m.Event.Profile, err = profileOf(s.Data, s.Subject)
	return m, err
}

// newer says that a later version of the program wrote the message. This check comes first, because a known member may
// have another type in a later format.
func newer(b []byte) bool {
	var form struct {
		Version int `json:"userrelayversion"`
	}
	return json.Unmarshal(b, &form, jsontext.AllowDuplicateNames(true)) == nil && form.Version > envelopeVersion
}

func timeOf(member, text string) (time.Time, error) {
	t, ok := parseTime(text)
	if !ok {
		return t, &InvalidError{member, "must be a time (RFC 3339)"}
	}
	return t, nil
}

// profileOf returns the profile in the data of a message.
func profileOf(data jsontext.Value, userID string) ([]byte, error) {
	var r request
	if err := r.read(Body{Reader: bytes.NewReader(data), Length: int64(len(data))}, true); err != nil {
		return nil, &InvalidError{"data", objectRule}
	}
	if err := once(named{"data.userId", r.userID.count}, named{"data.user", r.user.count}); err != nil {
		return nil, err
	}
	id, err := r.userID.userID("data.userId")
	if err != nil {
		return nil, err
	}
	if id != userID {
		return nil, &InvalidError{"data.userId", "must be the subject"}
	}
	if r.user.has() && r.user.kind != '{' {
		return nil, &InvalidError{"data.user", objectRule}
	}
	profile, _ := r.user.json() // a message is much smaller than the limit
	return profile, nil
}
