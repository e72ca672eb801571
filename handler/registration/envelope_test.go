package registration_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

func keptEnvelope() registration.Envelope {
	return registration.Envelope{
		Event: registration.Event{
			ID: "e-1", Chosen: true, UserID: `auth0|a"b\ż`, Source: "urn:auth0:acme", Time: time.Unix(1641950606, 804e6).UTC(), Test: true,
			Profile: []byte(`{"name":"Jané","n":1.50,"n":2,"s":"` + "\ufffd" + `"}`),
		},
		Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Tracestate: "a=1",
		Queued: time.Unix(1641950607, 1).UTC(), Reason: "unavailable",
	}
}

func TestEnvelopeIsReadable(t *testing.T) {
	t.Parallel()
	const want = `{"specversion":"1.0","userrelayversion":1,"id":"e-1","source":"urn:auth0:acme","type":"user.created",` +
		`"time":"2022-01-12T01:23:26.804Z","subject":"auth0|a\"b\\ż","datacontenttype":"application/json","dataschema":"urn:userrelay:schema:user.created:1","a0purpose":"test",` +
		`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=1",` +
		`"queuedtime":"2022-01-12T01:23:27.000000001Z","errorclass":"unavailable",` +
		`"data":{"userId":"auth0|a\"b\\ż","user":{"name":"Jané","n":1.50,"n":2,"s":"` + "\ufffd" + `"}}}`
	if diff := cmp.Diff(want, string(keptEnvelope().Encode())); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func TestEnvelopeComesBack(t *testing.T) {
	t.Parallel()
	bare := registration.Envelope{Event: plain("auth0|1"), Queued: time.Unix(2, 0).UTC()}
	bare.Event.Chosen = true
	omitted := bare
	omitted.Event.ProfileOmitted = true
	early := bare
	early.Event.Time = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	longest := bare
	longest.Event.UserID = strings.Repeat(`"`, 1024)
	longest.Event.ID = strings.Repeat(`"`, 128)
	longest.Event.Source = strings.Repeat(`"`, 2048)
	longest.Event.Auth0Source, longest.Event.Auth0ID = longest.Event.Source, longest.Event.ID
	longest.Tracestate = strings.Repeat(`"`, 512)
	stream := bare
	stream.Event.Auth0Source, stream.Event.Auth0ID = "urn:auth0:acme.eu.auth0.com", "evt_1"
	for name, m := range map[string]registration.Envelope{
		"all of it": keptEnvelope(), "bare": bare, "of a stream": stream, "profile omitted": omitted, "of the year 1": early, "longest texts": longest,
	} {
		b := m.Encode()
		got, err := registration.ParseEnvelope(b)
		if diff := cmp.Diff(m, got); err != nil || len(b) > registration.MaxEnvelope || diff != "" {
			t.Errorf("%s: %d bytes, error %v, message (-want +got):\n%s", name, len(b), err, diff)
		}
	}
}

// A profile is omitted only if it does not fit.
func TestEnvelopeWithLargeProfile(t *testing.T) {
	t.Parallel()
	m := keptEnvelope()
	size := func(n int) int {
		m.Event.Profile = []byte(`{"a":"` + strings.Repeat("x", n) + `"}`)
		return len(m.Encode())
	}
	room := registration.MaxEnvelope - size(0)
	if got := size(room); got != registration.MaxEnvelope {
		t.Errorf("a profile that just fits makes %d bytes, want %d", got, registration.MaxEnvelope)
	}
	for _, n := range []int{room + 1, 1 << 20} {
		size(n)
		got, err := registration.ParseEnvelope(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got.Event.Profile != nil || !got.Event.ProfileOmitted || got.Event.UserID != m.Event.UserID {
			t.Errorf("of a profile of %d bytes came %.100v", n, got.Event)
		}
	}
}

// The profile uses the maximal depth of JSON, and is nested deeper in the message.
func TestEnvelopeWithDeepProfile(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{9000, 9998, 9999} {
		body := `{"user_id":"auth0|1","a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
		e, err := (registration.Decoder{Profile: true}).Decode(text(body), "", time.Unix(1, 0))
		if err != nil {
			t.Fatalf("depth %d: %v", depth, err)
		}
		m, err := registration.ParseEnvelope(registration.Envelope{Event: e, Queued: time.Unix(2, 0)}.Encode())
		if err != nil || m.Event.UserID != "auth0|1" || (m.Event.Profile == nil) != m.Event.ProfileOmitted {
			t.Errorf("depth %d: %.80v, %v", depth, m, err)
		}
	}
}

func TestParseEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	sound := string(keptEnvelope().Encode())
	for name, c := range map[string]struct{ body, member string }{
		"nothing":               {"", "body"},
		"text":                  {"hello", "body"},
		"an array":              {"[]", "body"},
		"null":                  {"null", "specversion"},
		"an empty object":       {"{}", "specversion"},
		"cut off":               {sound[:len(sound)-1], "body"},
		"more behind it":        {sound + "{}", "body"},
		"not UTF-8":             {strings.Replace(sound, "ż", "\xff", 1), "body"},
		"a request of the form": {`{"userId":"auth0|1"}`, "specversion"},
		"another specversion":   {strings.Replace(sound, `"1.0"`, `"0.3"`, 1), "specversion"},
		"version of text":       {strings.Replace(sound, `version":1`, `version":"1"`, 1), "body"},
		"version 0":             {strings.Replace(sound, `version":1`, `version":0`, 1), "userrelayversion"},
		"another type":          {strings.Replace(sound, "user.created", "user.deleted", 1), "type"},
		"no id":                 {strings.Replace(sound, `"id":"e-1"`, `"id":""`, 1), "id"},
		"an id with a space":    {strings.Replace(sound, `"id":"e-1"`, `"id":"e 1"`, 1), "id"},
		"a blank subject":       {strings.Replace(sound, `"subject":"`, `"subject":" ","x":"`, 1), "subject"},
		"no source":             {strings.Replace(sound, "urn:auth0:acme", "", 1), "source"},
		"no time":               {strings.Replace(sound, "2022-01-12T01:23:26.804Z", "", 1), "time"},
		"no queuedtime":         {strings.Replace(sound, "2022-01-12T01:23:27.000000001Z", "soon", 1), "queuedtime"},
		"data of text":          {strings.Replace(sound, `"data":{`, `"data":"","x":{`, 1), "data"},
		"data of another user":  {strings.Replace(sound, `"userId":"auth0|`, `"userId":"auth0:`, 1), "data.userId"},
		"a profile of text":     {strings.Replace(sound, `"user":{`, `"user":"","x":{`, 1), "data.user"},
	} {
		_, err := registration.ParseEnvelope([]byte(c.body))
		if invalid, ok := errors.AsType[*registration.InvalidError](err); !ok || invalid.Member != c.member {
			t.Errorf("%s: error = %v, want one of %s", name, err, c.member)
		}
	}
}

// A message from a later version waits for that version, whatever its members are.
func TestEnvelopeOfALaterVersion(t *testing.T) {
	t.Parallel()
	later := strings.Replace(string(keptEnvelope().Encode()), `version":1`, `version":2`, 1)
	for _, body := range []string{
		later,
		strings.Replace(later, `"time":"2022-01-12T01:23:26.804Z"`, `"time":1641950606`, 1),
		strings.Replace(later, `"source":"urn:auth0:acme"`, `"source":["urn:auth0:acme"]`, 1),
		`{"userrelayversion":1000000}`,
	} {
		if _, err := registration.ParseEnvelope([]byte(body)); !errors.Is(err, registration.ErrNewerVersion) {
			t.Errorf("%s: error = %v", body, err)
		}
	}
}

// A host with another messageEncoding delivers base64 of base64.
func TestEnvelopeInBase64(t *testing.T) {
	t.Parallel()
	got, err := registration.ParseEnvelope([]byte(base64.StdEncoding.EncodeToString(keptEnvelope().Encode())))
	if diff := cmp.Diff(keptEnvelope(), got); err != nil || diff != "" {
		t.Errorf("error %v, message (-want +got):\n%s", err, diff)
	}
}

// The source of a registration is kept if it is valid. An invalid one does not cost the registration.
func TestEnvelopeWithUnsoundOrigin(t *testing.T) {
	t.Parallel()
	m := keptEnvelope()
	m.Event.Auth0Source, m.Event.Auth0ID = "urn:x y", strings.Repeat("x", 129)
	got, err := registration.ParseEnvelope(m.Encode())
	if err != nil || got.Event.Auth0Source != "" || got.Event.Auth0ID != "" {
		t.Errorf("%+v, %v", got.Event, err)
	}
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add(keptEnvelope().Encode())
	f.Add([]byte(`{"specversion":"1.0","userrelayversion":1,"data":{"userId":"a","userId":"b"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := registration.ParseEnvelope(b)
		if err != nil {
			return
		}
		again, err := registration.ParseEnvelope(m.Encode())
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if again.Event.ProfileOmitted && !m.Event.ProfileOmitted {
			again.Event.Profile, again.Event.ProfileOmitted = m.Event.Profile, false // it did not fit
		}
		if diff := cmp.Diff(m, again); diff != "" || !bytes.Equal(m.Encode(), again.Encode()) {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
	})
}
