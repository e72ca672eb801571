package registration

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Decoder reads the body of a request. Three forms are known, the first that fits is taken:
//
//   - a CloudEvent from Auth0 Event Streams: has "specversion" (or "spec_version") and "type";
//   - {"userId": "…"} and optionally "eventId", "user" (the profile) and "tenant";
//   - Auth0's event.user as it is: has "user_id".
//
// A member that is null is absent, members that are not known are ignored. A member that is known must be of its type
// and stand there once. A profile may hold anything that is JSON; only its user_id must be sound.
type Decoder struct {
	// Tenant is the Auth0 tenant of requests that name none, or empty.
	Tenant string
	// Profile says whether events keep the profile.
	Profile bool
}

// Decode reads one registration. key is the Idempotency-Key header, or empty; received is the time of the request. The
// error is an *InvalidError where the sender must change something, or an *IgnoredError. The event holds no reference
// to body.
func (d Decoder) Decode(body []byte, key string, received time.Time) (Event, error) {
	if !utf8.Valid(body) {
		return Event{}, &InvalidError{"body", "must be UTF-8"}
	}
	top, err := readMembers("", body,
		"specversion", "spec_version", "type", "id", "source", "time", "data", "a0tenant", "a0purpose", // CloudEvent
		"userId", "eventId", "user", "tenant",
		"user_id", "created_at") // event.user
	if err != nil {
		return Event{}, err
	}
	switch {
	case (top.has("specversion") || top.has("spec_version")) && top.has("type"):
		return d.cloudEvent(&top, body, received)
	case top.has("userId"):
		return d.byUserID(&top, key, received)
	case top.has("user_id"):
		return d.byProfile(&top, body, key, received)
	default:
		return Event{}, &InvalidError{
			"userId", `is missing: send {"userId": "…"}, Auth0's event.user with its user_id, or a CloudEvent with specversion and type`,
		}
	}
}

// byUserID reads {"userId": …}.
func (d Decoder) byUserID(top *members, key string, received time.Time) (Event, error) {
	if err := top.once("userId", "eventId", "user", "tenant"); err != nil {
		return Event{}, err
	}
	userID, err := top.userID("userId")
	if err != nil {
		return Event{}, err
	}
	eventID, err := top.text("eventId")
	if err != nil || top.has("eventId") && !validID(eventID) {
		return Event{}, &InvalidError{"eventId", idRule()}
	}
	tenant, err := top.text("tenant")
	if err != nil || top.has("tenant") && !ValidTenant(tenant) {
		return Event{}, &InvalidError{"tenant", tenantRule()}
	}
	createdAt := ""
	if top.has("user") {
		user, err := readMembers("user.", top.value("user"), "created_at")
		if err != nil {
			return Event{}, err
		}
		createdAt = user.lenientText("created_at")
	}
	return d.event(userID, cmp.Or(tenant, d.Tenant), createdAt, key, eventID, top.value("user"), received)
}

// byProfile reads Auth0's event.user.
func (d Decoder) byProfile(top *members, body []byte, key string, received time.Time) (Event, error) {
	userID, err := top.userID("user_id")
	if err != nil {
		return Event{}, err
	}
	tenant := top.lenientText("tenant")
	if !ValidTenant(tenant) {
		tenant = d.Tenant
	}
	return d.event(userID, tenant, top.lenientText("created_at"), key, "", body, received)
}

// event makes the event of a form that has no envelope of its own.
func (d Decoder) event(userID, tenant, createdAt, key, eventID string, profile jsontext.Value, received time.Time) (Event, error) {
	if key != "" && !validID(key) {
		return Event{}, &InvalidError{"Idempotency-Key", idRule()}
	}
	chosen := cmp.Or(key, eventID)
	return d.withProfile(Event{
		ID:     cmp.Or(chosen, DeriveID(tenant, userID, createdAt)),
		Chosen: chosen != "",
		UserID: userID,
		Source: source(tenant),
		Time:   firstTime(received, createdAt),
	}, profile)
}

// withProfile puts the profile into the event, compact and in valid UTF-8: Auth0 lets lone surrogates into profiles (as
// \ud800 escapes), which are no Unicode text; each becomes U+FFFD.
func (d Decoder) withProfile(e Event, profile jsontext.Value) (Event, error) {
	if !d.Profile || profile == nil {
		return e, nil
	}
	var err error
	if e.Profile, err = jsontext.AppendFormat(nil, profile, lenient()...); err != nil {
		return Event{}, fmt.Errorf("format the profile: %w", err) // cannot be: it was read with the same options
	}
	return e, nil
}

func source(tenant string) string { return "urn:auth0:" + cmp.Or(tenant, "unknown") }

// firstTime returns the first of the texts that is a time, else received.
func firstTime(received time.Time, texts ...string) time.Time {
	for _, s := range texts {
		if s == "" {
			continue
		}
		if t, ok := parseTime(s); ok {
			return t
		}
	}
	return received.UTC()
}

// parseTime reads a time (RFC 3339). One whose year in UTC has no four digits could not be told as RFC 3339 again: it is
// none.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	t = t.UTC()
	return t, err == nil && 0 <= t.Year() && t.Year() <= 9999
}

// cloudEvent reads what Auth0 Event Streams sends. It must refuse nothing that Auth0 may send: a refused event is not
// sent again, and enough of them switch the stream off.
func (d Decoder) cloudEvent(top *members, body []byte, received time.Time) (Event, error) {
	if err := top.once("specversion", "spec_version", "type", "id", "source", "time", "data", "a0tenant", "a0purpose"); err != nil {
		return Event{}, err
	}
	var envelope struct{ typ, id, source, time, tenant, purpose string }
	for _, member := range []struct {
		name string
		to   *string
	}{
		{"type", &envelope.typ},
		{"id", &envelope.id},
		{"source", &envelope.source},
		{"time", &envelope.time},
		{"a0tenant", &envelope.tenant},
		{"a0purpose", &envelope.purpose},
	} {
		var err error
		if *member.to, err = top.text(member.name); err != nil {
			return Event{}, err
		}
	}
	id := envelope.id
	if id != "" && !validID(id) {
		id = "a0evt_" + hash(id)
	}
	if envelope.typ != Type && !strings.HasSuffix(envelope.typ, "."+Type) {
		return Event{}, &IgnoredError{ID: cmp.Or(id, "a0evt_"+hash(string(body))), Type: cut(envelope.typ, maxType)}
	}

	data, err := readMembers("data.", top.value("data"), "object")
	if err != nil {
		return Event{}, err
	}
	if err := data.once("object"); err != nil {
		return Event{}, err
	}
	object, err := readMembers("data.object.", data.value("object"), "user_id", "created_at")
	if err != nil {
		return Event{}, err
	}
	userID, err := object.userID("user_id")
	if err != nil {
		return Event{}, err
	}
	tenant := envelope.tenant
	if !ValidTenant(tenant) {
		tenant = d.Tenant
	}
	createdAt := object.lenientText("created_at")
	if !validSource(envelope.source) {
		envelope.source = source(tenant)
	}
	return d.withProfile(Event{
		ID:     cmp.Or(id, DeriveID(tenant, userID, createdAt)),
		Chosen: id != "",
		UserID: userID,
		Source: envelope.source,
		Time:   firstTime(received, envelope.time, createdAt),
		Test:   envelope.purpose == "test",
	}, data.value("object"))
}

func cut(s string, n int) string {
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
