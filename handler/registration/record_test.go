package registration_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/registration"
)

func quote(t *testing.T, s string) string {
	t.Helper()
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		t.Fatalf("quote %q: %v", s, err)
	}
	return string(b)
}

func decode(t *testing.T, d registration.Decoder, body string) registration.Event {
	t.Helper()
	e, err := d.Decode(text(body), "", received())
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return e
}

func header(r *registration.Record, key string) (value string, count int) {
	for _, h := range r.Headers {
		if h.Key == key {
			value = h.Value
			count++
		}
	}
	return value, count
}

func TestRecord(t *testing.T) {
	t.Parallel()
	trace := []registration.Header{{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, {"tracestate", "a=1"}}
	headers := func(id, source, time string, more ...registration.Header) []registration.Header {
		return append([]registration.Header{
			{"ce_specversion", "1.0"},
			{"ce_id", id},
			{"ce_type", "user.created"},
			{"ce_source", source},
			{"ce_time", time},
			{"ce_subject", "auth0|1"},
			{"ce_dataschema", "urn:userrelay:schema:user.created:1"},
			{"content-type", "application/json"},
		}, more...)
	}
	stream := []registration.Header{{"ce_a0purpose", "test"}, {"ce_auth0source", "urn:x"}, {"ce_auth0eventid", "evt_1"}}
	const (
		at     = "2025-02-02T17:56:01.573Z"
		event  = `{"specversion":"1.0","type":"user.created","id":"evt_1","source":"urn:x","time":"` + at + `","a0purpose":"test","data":{"object":{"user_id":"auth0|1", "age":5}}}`
		userID = `{"userId":"auth0|1","eventId":"e-1","tenant":"acme","user":{"age": 5, "name":"Zażółć"}}`
		bare   = `{"user_id":"auth0|1", "tenant":"acme"}`
	)
	derivedID := derived("acme", "auth0|1", "")
	const receipt = "2026-11-24T10:00:00.25Z"
	for name, c := range map[string]struct {
		profile bool
		body    string
		trace   []registration.Header
		value   string
		headers []registration.Header
	}{
		"userId":                   {false, userID, nil, `{"userId":"auth0|1"}`, headers("e-1", "urn:auth0:acme", receipt)},
		"userId with profile":      {true, userID, nil, `{"userId":"auth0|1","user":{"age":5,"name":"Zażółć"}}`, headers("e-1", "urn:auth0:acme", receipt)},
		"userId, traced":           {false, userID, trace, `{"userId":"auth0|1"}`, headers("e-1", "urn:auth0:acme", receipt, trace...)},
		"event.user":               {false, bare, nil, `{"userId":"auth0|1"}`, headers(derivedID, "urn:auth0:acme", receipt)},
		"event.user with profile":  {true, bare, nil, `{"userId":"auth0|1","user":{"user_id":"auth0|1","tenant":"acme"}}`, headers(derivedID, "urn:auth0:acme", receipt)},
		"CloudEvent":               {false, event, nil, `{"userId":"auth0|1"}`, headers("evt_1", "urn:x", at, stream...)},
		"CloudEvent with profile":  {true, event, nil, `{"userId":"auth0|1","user":{"user_id":"auth0|1","age":5}}`, headers("evt_1", "urn:x", at, stream...)},
		"CloudEvent, traced":       {false, event, trace, `{"userId":"auth0|1"}`, headers("evt_1", "urn:x", at, slices.Concat(stream, trace)...)},
		"profile of nothing":       {true, `{"userId":"auth0|1","eventId":"e-1","user":{}}`, nil, `{"userId":"auth0|1","user":{}}`, headers("e-1", "urn:auth0:unknown", receipt)},
		"profile wanted, none had": {true, `{"userId":"auth0|1","eventId":"e-1"}`, nil, `{"userId":"auth0|1"}`, headers("e-1", "urn:auth0:unknown", receipt)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, registration.Decoder{Profile: c.profile}, c.body).Record(c.trace...)
			want := registration.Record{Key: []byte("auth0|1"), Value: []byte(c.value), Headers: c.headers}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

// The record has a CloudEvent's own source and id, in addition to those that all forms have. They identify a repeat.
func TestRecordOfAStream(t *testing.T) {
	t.Parallel()
	e := registration.Event{
		ID: "a0pur_1", Chosen: true, UserID: "auth0|1", Source: "urn:auth0:acme", Auth0Source: "urn:auth0:acme.eu.auth0.com", Auth0ID: "evt_1",
		Time: received(),
	}
	r := e.Record()
	for key, want := range map[string]string{
		"ce_id": "a0pur_1", "ce_source": "urn:auth0:acme", "ce_auth0source": "urn:auth0:acme.eu.auth0.com", "ce_auth0eventid": "evt_1",
	} {
		if got, n := header(&r, key); got != want || n != 1 {
			t.Errorf("%s = %q, %d times", key, got, n)
		}
	}
	for name, c := range map[string]struct {
		event registration.Event
		want  registration.RepeatKey
	}{
		"of a stream": {e, registration.RepeatKey{Source: "urn:auth0:acme.eu.auth0.com", ID: "evt_1"}},
		"of its own":  {registration.Event{ID: "e-1", Source: "urn:auth0:acme"}, registration.RepeatKey{Source: "urn:auth0:acme", ID: "e-1"}},
	} {
		if got := c.event.RepeatKey(); got != c.want {
			t.Errorf("%s: repeats are known by %+v, want %+v", name, got, c.want)
		}
	}
}

func TestRecordKeepsTheProfileAsItCame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ profile, want string }{
		"numbers":            {`{"a":1e999,"b":12345678901234567890,"c":1.50E+3,"d":-0.0,"e":0.1e-7}`, `{"a":1e999,"b":12345678901234567890,"c":1.50E+3,"d":-0.0,"e":0.1e-7}`},
		"white space":        {"{ \"a\" : [ 1 ,\n2 ] }", `{"a":[1,2]}`},
		"order":              {`{"z":1,"a":2}`, `{"z":1,"a":2}`},
		"duplicates":         {`{"a":1,"a":2,"m":{"b":1,"b":{}}}`, `{"a":1,"a":2,"m":{"b":1,"b":{}}}`},
		"null":               {`{"a":null,"b":[null]}`, `{"a":null,"b":[null]}`},
		"escapes":            {`{"a":"\u00e9\u002f\/\"\\\n\u0000\u007f"}`, `{"a":"é//\"\\\n\u0000` + "\x7f\"}"},
		"surrogate pair":     {`{"a":"\ud83c\udf89"}`, `{"a":"🎉"}`},
		"lone surrogates":    {`{"a":"\ud800","b":"x\udfffy","c":"\udf89\ud83c","d":["\ud83c🎉"]}`, `{"a":"�","b":"x�y","c":"��","d":["�🎉"]}`},
		"surrogates in name": {`{"\ud800":1,"\udfff":2}`, `{"�":1,"�":2}`},
		"deep":               {`{"a":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, `{"a":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`},
		"noncharacters":      {"{\"a\":\"\ufffe\ufeff\"}", "{\"a\":\"\ufffe\ufeff\"}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := registration.Decoder{Profile: true}
			bodies := map[string]string{
				`{"userId":"auth0|1","user":` + c.profile + `}`:                                                             `{"userId":"auth0|1","user":` + c.want + `}`,
				`{"user_id":"auth0|1","user_metadata":` + c.profile + `}`:                                                   `{"userId":"auth0|1","user":{"user_id":"auth0|1","user_metadata":` + c.want + `}}`,
				`{"specversion":"1.0","type":"user.created","data":{"object":{"user_id":"auth0|1","m":` + c.profile + `}}}`: `{"userId":"auth0|1","user":{"user_id":"auth0|1","m":` + c.want + `}}`,
			}
			for body, want := range bodies {
				if got := string(decode(t, d, body).Record().Value); got != want {
					t.Errorf("value = %q, want %q", got, want)
				}
			}
		})
	}
}

// A profile is omitted if the record with its trace headers would be one byte too large.
func TestRecordLeavesOutAProfileThatDoesNotFit(t *testing.T) {
	t.Parallel()
	trace := []registration.Header{{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	for name, headers := range map[string][]registration.Header{"alone": nil, "with trace headers": trace} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			padded := func(n int) registration.Event {
				return decode(t, registration.Decoder{Profile: true}, `{"userId":"auth0|1","user":{"pad":"`+strings.Repeat("a", n)+`"}}`)
			}
			empty := padded(0).Record(headers...)
			room := registration.MaxRecord - empty.Size()

			fits := padded(room).Record(headers...)
			if size := fits.Size(); size != 1_000_000 {
				t.Errorf("size = %d, want all of 1000000", size)
			}
			if _, n := header(&fits, "ce_profileomitted"); n != 0 || len(fits.Value) != len(empty.Value)+room {
				t.Errorf("the profile that fits is left out: value of %d bytes, %d ce_profileomitted", len(fits.Value), n)
			}

			e := padded(room + 1)
			over := e.Record(headers...)
			if got, want := string(over.Value), `{"userId":"auth0|1"}`; got != want {
				t.Errorf("value of %d bytes, want %s", len(got), want)
			}
			if v, n := header(&over, "ce_profileomitted"); v != "true" || n != 1 {
				t.Errorf("ce_profileomitted = %q, %d times, want true once", v, n)
			}
			if got := over.Headers[len(over.Headers)-len(headers):]; len(headers) > 0 && !cmp.Equal(headers, got) {
				t.Errorf("the last headers are %v, want %v", got, headers)
			}
			if diff := cmp.Diff(e.WithoutProfile().Record(headers...), over); diff != "" {
				t.Errorf("not the record without profile (-want +got):\n%s", diff)
			}
			if e.Profile == nil || e.ProfileOmitted {
				t.Error("Record changed the event")
			}
		})
	}
}

// The largest event without a profile is far below the limit.
func TestRecordWithoutProfileAlwaysFits(t *testing.T) {
	t.Parallel()
	e := decode(t, registration.Decoder{}, `{"specversion":"1.0","type":"user.created","a0purpose":"test","id":"`+strings.Repeat("i", 128)+
		`","source":"`+strings.Repeat("s", 2048)+`","data":{"object":{"user_id":"`+strings.Repeat(`\"`, 1024)+`"}}}`)
	r := e.Record(registration.Header{Key: "tracestate", Value: strings.Repeat("a", 512)})
	if size := r.Size(); size > 20_000 {
		t.Errorf("size = %d", size)
	}
}

func TestRecordTellsTimeInUTC(t *testing.T) {
	t.Parallel()
	r := registration.Event{ID: "e-1", UserID: "auth0|1", Source: "urn:x", Time: received()}.Record()
	if got, _ := header(&r, "ce_time"); got != "2026-11-24T10:00:00.25Z" {
		t.Errorf("ce_time = %s", got)
	}
}

func TestWithoutProfile(t *testing.T) {
	t.Parallel()
	with := decode(t, registration.Decoder{Profile: true}, `{"userId":"auth0|1","user":{"a":1}}`)
	want := with
	want.Profile, want.ProfileOmitted = nil, true
	if diff := cmp.Diff(want, with.WithoutProfile()); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, want.WithoutProfile()); diff != "" {
		t.Errorf("a second time (-want +got):\n%s", diff)
	}
	none := decode(t, registration.Decoder{Profile: true}, `{"userId":"auth0|1"}`)
	if diff := cmp.Diff(none, none.WithoutProfile()); diff != "" {
		t.Errorf("an event that has no profile changed (-want +got):\n%s", diff)
	}
}

// wireSize returns the maximum size of the record in a batch: as the first record, and as the last one of the largest
// batch.
func wireSize(r *registration.Record, last bool) int {
	w := kmsg.Record{Key: r.Key, Value: r.Value}
	if last {
		w.OffsetDelta, w.TimestampDelta64 = math.MaxInt32, math.MaxInt64
	}
	for _, h := range r.Headers {
		w.Headers = append(w.Headers, kmsg.Header{Key: h.Key, Value: []byte(h.Value)})
	}
	b := w.AppendTo(make([]byte, 0, r.Size()))
	w.Length = int32(len(b) - 1)
	return len(w.AppendTo(b[:0]))
}

func TestSizeIsNeverTooLittle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // the same records every time
	text := func(limit int) string { return strings.Repeat("x", random.IntN(limit)) }
	check := func(r *registration.Record) {
		t.Helper()
		size := r.Size()
		first, last := wireSize(r, false), wireSize(r, true)
		if size < last || size < first {
			t.Fatalf("size = %d, on the wire %d to %d: key %d, value %d, headers %d", size, first, last, len(r.Key), len(r.Value), len(r.Headers))
		}
		if slack := 32 + 10*len(r.Headers); size > first+slack {
			t.Fatalf("size = %d, on the wire %d: %d too much", size, first, size-first)
		}
	}
	check(&registration.Record{})
	for range 500 {
		r := registration.Record{Key: []byte(text(1025)), Value: []byte(text(1 << random.IntN(15)))}
		for range random.IntN(20) {
			r.Headers = append(r.Headers, registration.Header{Key: text(200), Value: text(3000)})
		}
		check(&r)
	}
	big := registration.Record{Key: bytes.Repeat([]byte("k"), 1024), Value: make([]byte, 990_000)}
	for _, n := range []int{0, 63, 64, 8191, 8192} { // where the length of a length changes
		big.Headers = []registration.Header{{Key: strings.Repeat("h", n), Value: strings.Repeat("v", n)}}
		check(&big)
	}
	e := decode(t, registration.Decoder{Profile: true}, `{"userId":"auth0|ż","user":{"pad":"`+strings.Repeat("ż", 100_000)+`"}}`)
	r := e.Record()
	if !utf8.Valid(r.Value) {
		t.Error("the value is not UTF-8")
	}
	check(&r)
}
