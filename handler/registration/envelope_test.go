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
		Origin: registration.Origin{App: "app", Topic: "users", Brokers: []string{"a:1", "b:1"}},
	}
}

func TestEnvelopeIsReadable(t *testing.T) {
	t.Parallel()
	const want = `{"specversion":"1.0","userrelayversion":1,"id":"e-1","source":"urn:auth0:acme","type":"user.created",` +
		`"time":"2022-01-12T01:23:26.804Z","subject":"auth0|a\"b\\ż","datacontenttype":"application/json","dataschema":"urn:userrelay:schema:user.created:1","a0purpose":"test",` +
		`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=1",` +
		`"queuedtime":"2022-01-12T01:23:27.000000001Z","errorclass":"unavailable","originapp":"app","origintopic":"users","originbrokers":"a:1,b:1",` +
		`"data":{"userId":"auth0|a\"b\\ż","user":{"name":"Jané","n":1.50,"n":2,"s":"` + "\ufffd" + `"}}}`
	if diff := cmp.Diff(want, string(keptEnvelope().Encode())); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

// A message is read as it was written, also in base64: a host with another messageEncoding delivers base64 of base64.
func TestEnvelopeComesBack(t *testing.T) {
	t.Parallel()
	bare := registration.Envelope{Event: of("", "", withID("e-1")), Queued: time.Unix(2, 0).UTC()}
	omitted, early, stream := bare, bare, bare
	omitted.Event.ProfileOmitted = true
	early.Event.Time = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	stream.Event.Auth0Source, stream.Event.Auth0ID = "urn:auth0:acme.eu.auth0.com", "evt_1"
	longest := stream
	longest.Event.UserID = strings.Repeat(`"`, 1024)
	longest.Event.ID = strings.Repeat(`"`, 128)
	longest.Event.Source = strings.Repeat(`"`, 2048)
	longest.Event.Auth0Source, longest.Event.Auth0ID = longest.Event.Source, longest.Event.ID
	longest.Tracestate = strings.Repeat(`"`, 512)
	for name, m := range map[string]registration.Envelope{
		"all of it": keptEnvelope(), "bare": bare, "of a stream": stream, "profile omitted": omitted, "of the year 1": early, "longest texts": longest,
	} {
		b := m.Encode()
		if len(b) > registration.MaxEnvelope {
			t.Errorf("%s: %d bytes", name, len(b))
		}
		for _, b := range [][]byte{b, base64.StdEncoding.AppendEncode(nil, b)} {
			got, err := registration.ParseEnvelope(b)
			if diff := cmp.Diff(m, got); err != nil || diff != "" {
				t.Errorf("%s: error %v, message (-want +got):\n%s", name, err, diff)
			}
		}
	}
}

// A CloudEvent's own source and id are kept if they are valid, and of the brokers the first eight. What is left out does
// not cost the registration.
func TestEnvelopeLeavesOut(t *testing.T) {
	t.Parallel()
	m := keptEnvelope()
	m.Event.Auth0Source, m.Event.Auth0ID = "urn:x y", strings.Repeat("x", 129)
	m.Origin.Brokers = strings.Fields("a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 i:1")
	want := keptEnvelope()
	want.Origin.Brokers = m.Origin.Brokers[:8]
	got, err := registration.ParseEnvelope(m.Encode())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, message (-want +got):\n%s", err, diff)
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
		if err != nil || got.Event.Profile != nil || !got.Event.ProfileOmitted || got.Event.UserID != m.Event.UserID {
			t.Errorf("of a profile of %d bytes came %.100v, %v", n, got.Event, err)
		}
	}
}

// The profile uses the maximal depth of JSON, and is nested deeper in the message.
func TestEnvelopeWithDeepProfile(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{9000, 9998, 9999} {
		e := decode(t, registration.Decoder{Profile: true}, `{"user_id":"auth0|1","a":`+strings.Repeat("[", depth-1)+strings.Repeat("]", depth-1)+`}`)
		m, err := registration.ParseEnvelope(registration.Envelope{Event: e, Queued: time.Unix(2, 0)}.Encode())
		if err != nil || m.Event.UserID != "auth0|1" || (m.Event.Profile == nil) != m.Event.ProfileOmitted {
			t.Errorf("depth %d: %.80v, %v", depth, m, err)
		}
	}
}

// TestParseEnvelopeRefuses has messages, and the members that the errors must name. Each but the first ones has one thing
// wrong.
func TestParseEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	sound := string(keptEnvelope().Encode())
	cases := map[string]string{
		"": "body", "hello": "body", "[]": "body", sound[:len(sound)-1]: "body", sound + "{}": "body",
		"null": "specversion", "{}": "specversion", `{"userId":"auth0|1"}`: "specversion",
	}
	for _, c := range []struct{ right, wrong, member string }{
		{"ż", "\xff", "body"},
		{`"1.0"`, `"0.3"`, "specversion"},
		{`version":1`, `version":"1"`, "body"},
		{`version":1`, `version":0`, "userrelayversion"},
		{"user.created", "user.deleted", "type"},
		{`"id":"e-1"`, `"id":""`, "id"},
		{`"id":"e-1"`, `"id":"e 1"`, "id"},
		{`"subject":"`, `"subject":" ","x":"`, "subject"},
		{"urn:auth0:acme", "", "source"},
		{"2022-01-12T01:23:26.804Z", "", "time"},
		{"2022-01-12T01:23:27.000000001Z", "soon", "queuedtime"},
		{`"data":{`, `"data":"","x":{`, "data"},
		{`"userId":"auth0|`, `"userId":"auth0:`, "data.userId"},
		{`"user":{`, `"user":"","x":{`, "data.user"},
	} {
		cases[strings.Replace(sound, c.right, c.wrong, 1)] = c.member
	}
	for body, member := range cases {
		_, err := registration.ParseEnvelope([]byte(body))
		if invalid, ok := errors.AsType[*registration.InvalidError](err); !ok || invalid.Member != member {
			t.Errorf("%s: error = %v, want one of %s", body, err, member)
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

func TestForeign(t *testing.T) {
	t.Parallel()
	here := registration.Origin{App: "app", Topic: "users", Brokers: []string{"k1:9092", "k2:9092"}}
	for name, c := range map[string]struct {
		of   registration.Origin
		want bool
	}{
		"this app's":                        {here, false},
		"a version that wrote no origin":    {registration.Origin{}, false},
		"this app's, with other settings":   {registration.Origin{App: "App", Topic: "old", Brokers: []string{"old:9092"}}, false},
		"another app's, the same Kafka":     {registration.Origin{App: "other", Topic: "users", Brokers: []string{"k3:9092", "K2:9092"}}, false},
		"another app's, another topic":      {registration.Origin{App: "other", Topic: "users2", Brokers: here.Brokers}, true},
		"another app's, another cluster":    {registration.Origin{App: "other", Topic: "users", Brokers: []string{"k1:9093"}}, true},
		"another app's, no broker is named": {registration.Origin{App: "other", Topic: "users"}, true},
		"a developer's machine's":           {registration.Origin{Topic: "users", Brokers: []string{"localhost:9092"}}, true},
	} {
		if got := c.of.Foreign(here); got != c.want {
			t.Errorf("%s: foreign %v", name, got)
		}
		if got := here.Foreign(c.of); c.of.Topic != "" && got != c.want {
			t.Errorf("%s, the other way round: foreign %v", name, got)
		}
	}
}
