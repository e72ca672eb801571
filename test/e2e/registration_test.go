package e2e_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// Expectations use these placeholders for values that a test cannot know beforehand.
const (
	derived = "derived" // an event id that the handler made
	receipt = "receipt" // the time of the request
	anyspan = "anyspan" // a sound traceparent of a trace that began here
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// event returns the headers of a registration's record.
type event struct {
	id, source, time, subject string
	extra                     []string // between content-type and traceparent
	trace                     []string // nil: anyspan
}

func (e event) headers() []string {
	trace := e.trace
	if trace == nil {
		trace = []string{"traceparent: " + anyspan}
	}
	return slices.Concat([]string{
		"ce_specversion: 1.0", "ce_id: " + e.id, "ce_type: user.created", "ce_source: " + e.source, "ce_time: " + e.time,
		"ce_subject: " + e.subject, "ce_dataschema: urn:userrelay:schema:user.created:1", "content-type: application/json",
	}, e.extra, trace)
}

// form is a row of the tables: a request and its record.
type form struct {
	name    string
	headers []string // of the request
	body    string
	event   event
	value   string // of the record
}

const user = "auth0|61de2511fd334200aa221dff"

const profile = `{"user_id":"auth0|61de2511fd334200aa221dff","email":"jane@example.com","tenant":"acme","created_at":"2026-11-21T19:00:00.123Z","n":1.50,"x":[null]}`

// bareID are the forms whose record holds only the user id, for every value of RECORD_PROFILE.
func bareID() []form {
	const value = `{"userId":"` + user + `"}`
	unknown := event{derived, "urn:auth0:unknown", receipt, user, nil, nil}
	forms := []form{
		{"no media type", nil, value, unknown, value},
		{"profile null", nil, `{"userId":"` + user + `","user":null,"eventId":null,"tenant":null,"specversion":null}`, unknown, value},
		{"unknown members", nil, `{"x":{"userId":1},"userId":"` + user + `","Userid":2,"x":[]}`, unknown, value},
		{"white space", nil, " \r\n\t{ \"userId\" : \"" + user + "\" }\n ", unknown, value},
		{
			"event id in the body", nil, `{"userId":"` + user + `","eventId":"chosen-1"}`,
			event{"chosen-1", "urn:auth0:unknown", receipt, user, nil, nil},
			value,
		},
		{
			"Idempotency-Key before eventId",
			[]string{"Idempotency-Key: key~1"},
			`{"userId":"` + user + `","eventId":"chosen-1"}`,
			event{"key~1", "urn:auth0:unknown", receipt, user, nil, nil},
			value,
		},
		{
			"tenant", nil, `{"userId":"` + user + `","tenant":"acme-dev"}`,
			event{derived, "urn:auth0:acme-dev", receipt, user, nil, nil},
			value,
		},
		{
			"trace of the caller",
			[]string{"Traceparent: " + traceparent, "Tracestate: a=1", "Tracestate: b=2"},
			value,
			event{derived, "urn:auth0:unknown", receipt, user, nil, []string{"traceparent: " + traceID, "tracestate: a=1,b=2"}},
			value,
		},
		{"unsound trace", []string{"Traceparent: 00-zz-zz-01", "Tracestate: a=1"}, value, unknown, value},
		{
			"CloudEvent without a profile to speak of", nil,
			`{"specversion":"1.0","type":"user.created","id":"evt_1","source":"urn:auth0:acme.us.auth0.com","time":"2025-02-02T17:56:01.573Z","data":{"object":{"user_id":"` + user + `"}}}`,
			event{"evt_1", "urn:auth0:acme.us.auth0.com", "2025-02-02T17:56:01.573Z", user, []string{"ce_auth0source: urn:auth0:acme.us.auth0.com", "ce_auth0eventid: evt_1"}, nil},
			value,
		},
		{
			"CloudEvent of the older form, a test", nil,
			`{"spec_version":"1.0","type":"com.auth0.user.created","id":"evt_2","source":"","a0tenant":"acme","a0purpose":"test","data":{"object":{"user_id":"` + user + `","created_at":"2025-02-02T19:56:01+02:00"}}}`,
			event{derived, "urn:auth0:acme", "2025-02-02T17:56:01Z", user, []string{"ce_a0purpose: test", "ce_auth0eventid: evt_2"}, nil},
			value,
		},
		{
			"CloudEvent with an id that no header holds", nil,
			`{"specversion":"1.0","type":"user.created","id":"é ` + strings.Repeat("x", 200) + `","data":{"object":{"user_id":"` + user + `"}}}`,
			event{derived, "urn:auth0:unknown", receipt, user, []string{"ce_auth0eventid: " + derived}, nil},
			value,
		},
		{"byte order mark", nil, "\ufeff" + value, unknown, value},
		{"a tenant that cannot be one", nil, `{"userId":"` + user + `","tenant":"{{TENANT}}"}`, unknown, value},
		{"of a Kafka REST client", []string{"Authorization: Basic dTpw"}, `{"value":"{\"user_id\":\"` + user + `\",\"email_verified\":false}"}`, unknown, value},
		{"of a Kafka REST client, as an object", nil, `{"value":{"user_id":"` + user + `"}}`, unknown, value},
		{"16 MiB of profile", nil, `{"user":{"x":"` + strings.Repeat("x", maxBody-100) + `"},"userId":"` + user + `"}`, unknown, value},
	}
	for _, mediaType := range []string{
		"application/json", "application/json; charset=utf-8", "application/cloudevents+json", "text/plain;charset=UTF-8",
		"application/x-www-form-urlencoded", "Application/JSON",
	} {
		forms = append(forms, form{mediaType, []string{"Content-Type: " + mediaType}, value, unknown, value})
	}
	for _, id := range []string{"a", "google-oauth2|1+2@x.example", `samlp|a\b"c/<d>&'`, "auth0|żółw🎉", "samlp|conn|a\nb c\u00a0\u202e\u200b", strings.Repeat("u", 1024)} {
		quoted, _ := json.Marshal(id) // valid UTF-8
		value := `{"userId":` + string(quoted) + `}`
		forms = append(forms, form{"user id " + id[:min(len(id), 20)], nil, value, event{derived, "urn:auth0:unknown", receipt, id, nil, nil}, value})
	}
	return forms
}

// withProfile are the forms with a profile, and their records if RECORD_PROFILE is full and AUTH0_TENANT is house.
func withProfile() []form {
	const (
		value   = `{"userId":"` + user + `","user":` + profile + `}`
		created = "2026-11-21T19:00:00.123Z"
	)
	large := `"` + strings.Repeat("x", 1_000_000) + `"`
	return []form{
		{"no profile", nil, `{"userId":"` + user + `"}`, event{derived, "urn:auth0:house", receipt, user, nil, nil}, `{"userId":"` + user + `"}`},
		{
			"userId and user", nil, `{"user": ` + strings.ReplaceAll(profile, ",", " , ") + `, "userId":"` + user + `"}`,
			event{derived, "urn:auth0:house", created, user, nil, nil},
			value,
		},
		{"event.user", nil, profile, event{derived, "urn:auth0:acme", created, user, nil, nil}, value},
		{
			"CloudEvent", nil, `{"specversion":"1.0","type":"user.created","id":"evt_3","time":"2025-02-02T17:56:01Z","data":{"object":` + profile + `}}`,
			event{derived, "urn:auth0:house", "2025-02-02T17:56:01Z", user, []string{"ce_auth0eventid: evt_3"}, nil},
			value,
		},
		{
			"lone surrogate", nil, `{"userId":"` + user + `","user":{"name":"a\ud800b"}}`,
			event{derived, "urn:auth0:house", receipt, user, nil, nil},
			`{"userId":"` + user + `","user":{"name":"a` + "\uFFFD" + `b"}}`,
		},
		{
			"of a Kafka REST client", nil, `{"value":` + quoted(profile) + `}`,
			event{derived, "urn:auth0:acme", created, user, nil, nil},
			value,
		},
		{
			"16 MiB of profile", nil, `{"user":{"x":"` + strings.Repeat("x", maxBody-100) + `"},"userId":"` + user + `"}`,
			event{derived, "urn:auth0:house", receipt, user, []string{"ce_profileomitted: true"}, nil},
			`{"userId":"` + user + `"}`,
		},
		{
			"profile that no record holds", nil, `{"userId":"` + user + `","user":{"x":` + large + `}}`,
			event{derived, "urn:auth0:house", receipt, user, []string{"ce_profileomitted: true"}, nil},
			`{"userId":"` + user + `"}`,
		},
	}
}

// quoted is a text as JSON.
func quoted(s string) string {
	b, _ := json.Marshal(s) // valid UTF-8
	return string(b)
}

// TestForms sends every form of a registration and compares the answer and the record.
func TestForms(t *testing.T) {
	t.Parallel()
	for _, group := range []struct {
		name     string
		settings []string
		forms    []form
	}{
		{"id only", nil, bareID()},
		{"full profile", []string{"RECORD_PROFILE=full", "AUTH0_TENANT=house"}, withProfile()},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			h := startHandler(t, append(group.settings, kafka.setting())...)
			sent := make([]sending, len(group.forms))
			for i, f := range group.forms {
				sent[i].begin = time.Now()
				sent[i].reply = h.register(t, f.body, f.headers...)
				sent[i].end = time.Now()
			}
			records := kafka.records(t)
			if len(records) != len(sent) {
				t.Errorf("got %d records of %d registrations", len(records), len(sent))
			}
			for i, f := range group.forms {
				t.Run(f.name, func(t *testing.T) { f.check(t, sent[i], records) })
			}
		})
	}
}

// sending is a request that was sent, and when.
type sending struct {
	reply
	begin, end time.Time
}

func (f form) check(t *testing.T, s sending, records []record) {
	t.Helper()
	answer := s.stored(t)
	if answer.Topic != topic || answer.Partition != partitionOf(f.event.subject) {
		t.Errorf("got %s[%d], want %s[%d]", answer.Topic, answer.Partition, topic, partitionOf(f.event.subject))
	}
	if stamp := time.UnixMilli(answer.Timestamp); stamp.Before(s.begin.Truncate(time.Millisecond)) || stamp.After(s.end) {
		t.Errorf("timestamp: got %v, want one between %v and %v", stamp, s.begin, s.end)
	}
	got := at(t, records, answer)
	if id := got.header("ce_id"); id != answer.EventID {
		t.Errorf("event id: got %q in the answer and %q in the record", answer.EventID, id)
	}
	got.Partition, got.Offset, got.Timestamp = 0, 0, 0
	got.Headers = f.hideUnknown(got, s)
	want := record{Key: f.event.subject, Value: f.value, Headers: f.event.headers()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// hideUnknown returns the record's headers, with valid unpredictable values replaced by placeholders.
func (f form) hideUnknown(r record, s sending) []string {
	headers := slices.Clone(r.Headers)
	hide := func(name, word string, sound func(string) bool) {
		value := r.header(name)
		if i := slices.Index(headers, name+": "+value); i >= 0 && sound(value) {
			headers[i] = name + ": " + word
		}
	}
	if f.event.id == derived {
		hide("ce_id", derived, regexp.MustCompile(`^[!-~]{1,128}$`).MatchString)
	}
	if slices.Contains(f.event.extra, "ce_auth0eventid: "+derived) {
		hide("ce_auth0eventid", derived, regexp.MustCompile(`^[!-~]{1,128}$`).MatchString)
	}
	if f.event.time == receipt {
		hide("ce_time", receipt, func(v string) bool {
			at, err := time.Parse(time.RFC3339Nano, v)
			return err == nil && strings.HasSuffix(v, "Z") && !at.Before(s.begin.Truncate(time.Microsecond)) && !at.After(s.end)
		})
	}
	word, trace := anyspan, "[0-9a-f]{32}"
	if f.event.trace != nil {
		word, trace = traceID, traceID
	}
	hide("traceparent", word, func(v string) bool {
		return regexp.MustCompile("^00-"+trace+"-[0-9a-f]{16}-0[01]$").MatchString(v) && v != traceparent
	})
	return headers
}

// TestDerivedID shows that a repeat of a registration has the same event id and makes another record, and that another
// registration has another id.
func TestDerivedID(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	id := func(body string) string { return h.register(t, body).stored(t).EventID }

	first := id(profile)
	for name, body := range map[string]string{
		"the same again":       profile,
		"the same as userId":   `{"userId":"` + user + `","tenant":"acme","user":{"created_at":"2026-11-21T19:00:00.123Z"}}`,
		"the same as an event": `{"specversion":"1.0","type":"user.created","a0tenant":"acme","data":{"object":` + profile + `}}`,
	} {
		if got := id(body); got != first {
			t.Errorf("%s: got event id %q, want %q", name, got, first)
		}
	}
	ids := map[string]string{first: "the first"}
	for name, body := range map[string]string{
		"another user":   strings.Replace(profile, user, "auth0|2", 1),
		"another tenant": strings.Replace(profile, "acme", "acme-dev", 1),
		"another time":   strings.Replace(profile, "00.123Z", "00.124Z", 1),
	} {
		got := id(body)
		if other, twice := ids[got]; twice {
			t.Errorf("%s: got the event id of %s", name, other)
		}
		ids[got] = name
	}
	if got := len(kafka.records(t)); got != 7 {
		t.Errorf("got %d records, want 7", got)
	}
}
