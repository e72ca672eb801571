package registration

import (
	"cmp"
	"strings"
	"time"
)

// Decoder reads the body of a request. It knows four forms and uses the first that matches:
//
//   - a CloudEvent from Auth0 Event Streams: has "specversion" (or "spec_version") and "type";
//   - {"userId": "…"} and optionally "eventId", "user" (the profile) and "tenant";
//   - Auth0's event.user as it is: has "user_id";
//   - {"value": "…"} with the JSON text of event.user, or with event.user itself: what clients of Kafka REST services send.
//
// A null member counts as absent, and unknown members are ignored. A known member must have the right type and occur
// once. A profile may hold any JSON; only its user_id must be valid. An invalid tenant is ignored, and so are invalid
// members of a CloudEvent other than its type and its user: they must not cost the registration.
type Decoder struct {
	// Tenant is the Auth0 tenant of requests that name none, or empty.
	Tenant string
	// Profile says whether events keep the profile.
	Profile bool
}

// Decode reads one registration. key is the Idempotency-Key header, or empty; received is the time of the request. The
// error is an *InvalidError if the sender must change something, an *IgnoredError, ErrNoRoom, or an error of reading
// the body.
//
// From a body of more than a few KiB it keeps only what identifies the registration and, if profiles are wanted, a
// profile that fits a record.
func (d Decoder) Decode(body Body, key string, received time.Time) (Event, error) {
	var r request
	if err := r.read(body, d.Profile); err != nil {
		return Event{}, err
	}
	switch {
	case (r.specversion.has() || r.specVersion.has()) && r.typ.has():
		return d.cloudEvent(&r, received)
	case r.userID.has():
		return d.byUserID(&r, key, received)
	case r.bare.userID.has():
		r.bare.tenant = r.tenant
		return d.byProfile(&r.bare, "", key, received)
	case r.value.has():
		return d.byValue(&r, key, received)
	default:
		return Event{}, &InvalidError{
			"userId", `is missing: send {"userId": "…"}, Auth0's event.user with its user_id, {"value": …} with that in it, or a CloudEvent with specversion and type`,
		}
	}
}

// byUserID reads {"userId": …}.
func (d Decoder) byUserID(r *request, key string, received time.Time) (Event, error) {
	if err := once(named{"userId", r.userID.count}, named{"eventId", r.eventID.count}, named{"user", r.user.count}); err != nil {
		return Event{}, err
	}
	userID, err := r.userID.userID("userId")
	if err != nil {
		return Event{}, err
	}
	if r.eventID.has() && !validID(r.eventID.sound()) {
		return Event{}, &InvalidError{"eventId", idRule()}
	}
	if r.user.has() && r.user.kind != '{' {
		return Event{}, &InvalidError{"user", objectRule}
	}
	return d.event(userID, &r.tenant, &r.user, key, r.eventID.sound(), received)
}

// byProfile reads Auth0's event.user, which is at path.
func (d Decoder) byProfile(p *profile, path, key string, received time.Time) (Event, error) {
	if err := once(named{path + "user_id", p.userID.count}); err != nil {
		return Event{}, err
	}
	userID, err := p.userID.userID(path + "user_id")
	if err != nil {
		return Event{}, err
	}
	return d.event(userID, &p.tenant, p, key, "", received)
}

// byValue reads {"value": …}.
func (d Decoder) byValue(r *request, key string, received time.Time) (Event, error) {
	if err := once(named{"value", r.value.count}); err != nil {
		return Event{}, err
	}
	if r.value.kind != '{' || r.noObj {
		return Event{}, &InvalidError{"value", "must be Auth0's event.user, as a JSON object or as the text of one"}
	}
	return d.byProfile(&r.value, "value.", key, received)
}

// event builds the event for a form without an envelope.
func (d Decoder) event(userID string, tenant *member, p *profile, key, eventID string, received time.Time) (Event, error) {
	if key != "" && !validID(key) {
		return Event{}, &InvalidError{"Idempotency-Key", idRule()}
	}
	e := Event{UserID: userID}
	name := d.tenant(&e, tenant)
	createdAt := p.createdAt.sound()
	chosen := cmp.Or(key, eventID)
	e.ID, e.Chosen = cmp.Or(chosen, DeriveID(name, userID, createdAt)), chosen != ""
	e.Source = source(name)
	e.Time = firstTime(received, createdAt)
	e.Profile, e.ProfileOmitted = p.json()
	return e, nil
}

// tenant returns the tenant of the request, or else the setting's. It ignores a name that cannot be a tenant: Auth0's
// own example has {{TENANT}}.
func (d Decoder) tenant(e *Event, m *member) string {
	if name := m.sound(); ValidTenant(name) {
		return name
	}
	e.TenantLeftOut = m.has()
	return d.Tenant
}

func source(tenant string) string {
	if tenant == "" {
		return "urn:auth0:unknown"
	}
	return "urn:auth0:" + tenant
}

// firstTime returns the first text that is a time, or else received.
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

// parseTime reads an RFC 3339 time. It refuses a time whose year in UTC does not have four digits, because RFC 3339
// cannot express it.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	t = t.UTC()
	return t, err == nil && 0 <= t.Year() && t.Year() <= 9999
}

func isTime(s string) bool {
	_, ok := parseTime(s)
	return ok
}

// cloudEvent reads an event of Auth0 Event Streams. It must accept everything that Auth0 may send: Auth0 does not
// repeat a refused event, and stops the stream after several.
func (d Decoder) cloudEvent(r *request, received time.Time) (Event, error) {
	if err := once(named{"specversion", r.specversion.count}, named{"spec_version", r.specVersion.count}, named{"type", r.typ.count}); err != nil {
		return Event{}, err
	}
	if r.typ.kind != '"' || r.typ.lone {
		return Event{}, &InvalidError{"type", "must be a string of Unicode text"}
	}
	id, own := r.id.eventID(), r.source.sound()
	if typ := r.typ.text; typ != Type && !strings.HasSuffix(typ, "."+Type) {
		return Event{}, &IgnoredError{ID: cmp.Or(id, hashed("a0evt_", []byte(typ+"\n"+own+"\n"+r.time.sound()))), Type: Cut(typ, maxType)}
	}
	userID, err := r.streamUser()
	if err != nil {
		return Event{}, err
	}
	e := Event{UserID: userID, Auth0ID: id, Chosen: id != "", Test: r.a0purpose.sound() == "test"}
	if validSource(own) {
		e.Auth0Source = own
	}
	tenant, createdAt := d.tenant(&e, &r.a0tenant), r.object.createdAt.sound()
	if e.ID = id; id == "" || tenant != "" && isTime(createdAt) {
		// The Action, the backfill and a replay derive the same id for this registration.
		e.ID = DeriveID(tenant, userID, createdAt)
	}
	if e.Source = e.Auth0Source; e.Source == "" || tenant != "" {
		e.Source = source(tenant)
	}
	e.Time = firstTime(received, r.time.sound(), createdAt)
	e.Profile, e.ProfileOmitted = r.object.json()
	return e, nil
}

// streamUser returns the user id of a CloudEvent.
func (r *request) streamUser() (string, error) {
	err := once(named{"data", r.data.count}, named{"data.object", r.object.count}, named{"data.object.user_id", r.object.userID.count})
	switch {
	case err != nil:
		return "", err
	case r.data.kind != '{':
		return "", &InvalidError{"data", objectRule}
	case r.object.kind != '{':
		return "", &InvalidError{"data.object", objectRule}
	}
	return r.object.userID.userID("data.object.user_id")
}

const objectRule = "must be a JSON object"

// named returns how often a member occurs.
type named struct {
	path  string
	count uint32
}

// once refuses a member that occurs more than once.
func once(members ...named) error {
	for _, m := range members {
		if m.count > 1 {
			return &InvalidError{m.path, "must stand there once"}
		}
	}
	return nil
}

// eventID returns the member as an event id, or its hash if it is not a valid one; "" if there is none.
func (m *member) eventID() string {
	switch {
	case m.kind != '"' || m.text == "":
		return ""
	case validID(m.text):
		return m.text
	default:
		return hashed("a0evt_", []byte(m.text))
	}
}

// userID returns the member as a user id.
func (m *member) userID(path string) (string, error) {
	switch {
	case !m.has():
		return "", &InvalidError{path, "is missing"}
	case m.kind != '"' || m.lone || !validUserID(m.text):
		return "", &InvalidError{path, userIDRule()}
	}
	return m.text, nil
}
