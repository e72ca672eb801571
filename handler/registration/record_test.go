package registration_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

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

// A repeat is known by a CloudEvent's own source and id, else by those that all forms have.
func TestRepeatKey(t *testing.T) {
	t.Parallel()
	stream := registration.Event{ID: "a0pur_1", Source: "urn:auth0:acme", Auth0Source: "urn:auth0:acme.eu.auth0.com", Auth0ID: "evt_1"}
	if got, want := stream.RepeatKey(), (registration.RepeatKey{Source: "urn:auth0:acme.eu.auth0.com", ID: "evt_1"}); got != want {
		t.Errorf("of a stream: got %+v, want %+v", got, want)
	}
	if got, want := chosen("auth0|1", "e-1").RepeatKey(), (registration.RepeatKey{Source: "urn:auth0:unknown", ID: "e-1"}); got != want {
		t.Errorf("of its own: got %+v, want %+v", got, want)
	}
}

func TestRecordKeepsTheProfileAsItCame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ profile, want string }{
		"numbers":            {`{"a":1e999,"b":12345678901234567890,"c":1.50E+3,"d":-0.0,"e":0.1e-7}`, `{"a":1e999,"b":12345678901234567890,"c":1.50E+3,"d":-0.0,"e":0.1e-7}`},
		"white space":        {"{ \"a\" : [ 1 ,\n2 ] }", `{"a":[1,2]}`},
		"order":              {`{"z":1,"a":2}`, `{"z":1,"a":2}`},
		"duplicates":         {`{"a":1,"a":2,"m":{"b":1,"b":{}}}`, `{"a":1,"a":2,"m":{"b":1,"b":{}}}`},
		"nothing":            {`{}`, `{}`},
		"null":               {`{"a":null,"b":[null]}`, `{"a":null,"b":[null]}`},
		"escapes":            {`{"a":"\u00e9\u002f\/\"\\\n\u0000\u007f"}`, `{"a":"é//\"\\\n\u0000` + "\x7f\"}"},
		"surrogate pair":     {`{"a":"\ud83c\udf89"}`, `{"a":"🎉"}`},
		"lone surrogates":    {`{"a":"\ud800","b":"x\udfffy","c":"\udf89\ud83c","d":["\ud83c🎉"]}`, `{"a":"�","b":"x�y","c":"��","d":["�🎉"]}`},
		"surrogates in name": {`{"\ud800":1,"\udfff":2}`, `{"�":1,"�":2}`},
		"deep":               {`{"a":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, `{"a":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`},
		"noncharacters":      {"{\"a\":\"\ufffe\ufeff\"}", "{\"a\":\"\ufffe\ufeff\"}"},
	} {
		for body, want := range map[string]string{
			`{"userId":"auth0|1","user":` + c.profile + `}`:           `{"userId":"auth0|1","user":` + c.want + `}`,
			`{"user_id":"auth0|1","user_metadata":` + c.profile + `}`: `{"userId":"auth0|1","user":{"user_id":"auth0|1","user_metadata":` + c.want + `}}`,
			created(`{"user_id":"auth0|1","m":` + c.profile + `}`):    `{"userId":"auth0|1","user":{"user_id":"auth0|1","m":` + c.want + `}}`,
		} {
			if got := string(decode(t, registration.Decoder{Profile: true}, body).Record().Value); got != want {
				t.Errorf("%s: value = %q, want %q", name, got, want)
			}
		}
	}
}

// A profile is omitted if the record with its trace headers would be one byte too large.
func TestRecordLeavesOutAProfileThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, headers := range [][]registration.Header{{}, {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}} {
		padded := func(n int) registration.Event {
			return decode(t, registration.Decoder{Profile: true}, `{"userId":"auth0|1","user":{"pad":"`+strings.Repeat("a", n)+`"}}`)
		}
		empty := padded(0).Record(headers...)
		room := registration.MaxRecord - empty.Size()
		fits := padded(room).Record(headers...)
		if _, n := header(&fits, "ce_profileomitted"); fits.Size() != 1_000_000 || n != 0 || len(fits.Value) != len(empty.Value)+room {
			t.Errorf("the profile that fits is left out: size %d, want all of 1000000, %d ce_profileomitted", fits.Size(), n)
		}
		e := padded(room + 1)
		over := e.Record(headers...)
		v, n := header(&over, "ce_profileomitted")
		if got, want := string(over.Value), `{"userId":"auth0|1"}`; got != want || v != "true" || n != 1 {
			t.Errorf("value of %d bytes, want %s; ce_profileomitted = %q, %d times, want true once", len(got), want, v, n)
		}
		if got := over.Headers[len(over.Headers)-len(headers):]; !cmp.Equal(headers, got) {
			t.Errorf("the last headers are %v, want %v", got, headers)
		}
		if diff := cmp.Diff(e.WithoutProfile().Record(headers...), over); diff != "" {
			t.Errorf("not the record without profile (-want +got):\n%s", diff)
		}
		if e.Profile == nil || e.ProfileOmitted {
			t.Error("Record changed the event")
		}
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

func TestWithoutProfile(t *testing.T) {
	t.Parallel()
	none := chosen("auth0|1", "e-1")
	with, want := none, none
	with.Profile, want.ProfileOmitted = []byte(`{"a":1}`), true
	for _, c := range [][2]registration.Event{{with, want}, {want, want}, {none, none}} {
		if diff := cmp.Diff(c[1], c[0].WithoutProfile()); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
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
}
