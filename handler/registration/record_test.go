package registration_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/registration"
)

func decode(t *testing.T, d registration.Decoder, body string) registration.Event {
	t.Helper()
	e, err := d.Decode(text(body), "", received())
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return e
}

// TestRecordKeepsTheProfileAsItCame has profiles, and what they are in a record where it is not the same.
func TestRecordKeepsTheProfileAsItCame(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]string{
		`{}`: "",
		`{"z":1e999,"a":12345678901234567890,"c":1.50E+3,"d":-0.0,"e":0.1e-7,"f":null,"g":[null,true,false]}`: "",
		`{"a":1,"a":2,"m":{"b":1,"b":{}}}`:                                  "",
		`{"a":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`: "",
		"{\"a\":\"\ufffe\ufeff\"}":                                          "",
		"{ \"a\" : [ 1 ,\n2 ] }":                                            `{"a":[1,2]}`,
		`{"a":"\u00e9\u002f\/\"\\\b\f\n\r\t\u0000\u007f"}`:                  `{"a":"é//\"\\\b\f\n\r\t\u0000` + "\x7f\"}",
		`{"a":"\ud83c\udf89"}`:                                              `{"a":"🎉"}`,
		`{"a":"\ud800","b":"x\udfffy","c":"\udf89\ud83c","d":["\ud83c🎉"]}`:  `{"a":"�","b":"x�y","c":"��","d":["�🎉"]}`,
		`{"\ud800":1,"\udfff":2}`:                                           `{"�":1,"�":2}`,
	} {
		if want == "" {
			want = profile
		}
		for body, want := range map[string]string{
			`{"userId":"auth0|1","user":` + profile + `}`:           `{"userId":"auth0|1","user":` + want + `}`,
			`{"user_id":"auth0|1","user_metadata":` + profile + `}`: `{"userId":"auth0|1","user":{"user_id":"auth0|1","user_metadata":` + want + `}}`,
			cloudEvent(``, `,"m":`+profile):                         `{"userId":"auth0|1","user":{"user_id":"auth0|1","m":` + want + `}}`,
		} {
			if got := string(decode(t, registration.Decoder{Profile: true}, body).Record().Value); got != want {
				t.Errorf("value = %q, want %q", got, want)
			}
		}
	}
}

// A profile is omitted if the record with its trace headers would be one byte too large.
func TestRecordLeavesOutAProfileThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, trace := range [][]registration.Header{{}, {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}} {
		padded := func(n int) registration.Event {
			return decode(t, registration.Decoder{Profile: true}, `{"userId":"auth0|1","user":{"pad":"`+strings.Repeat("a", n)+`"}}`)
		}
		empty := padded(0).Record(trace...)
		room := registration.MaxRecord - empty.Size()
		fits := padded(room).Record(trace...)
		if diff := cmp.Diff(empty.Headers, fits.Headers); fits.Size() != 1_000_000 || len(fits.Value) != len(empty.Value)+room || diff != "" {
			t.Errorf("the profile that fits is left out: size %d, want all of 1000000, headers (-want +got):\n%s", fits.Size(), diff)
		}
		e, omitted := padded(room+1), of("", "")
		omitted.ProfileOmitted = true
		if diff := cmp.Diff(omitted.Record(trace...), e.Record(trace...)); diff != "" {
			t.Errorf("record of a profile that does not fit (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(omitted, e.WithoutProfile()); e.Profile == nil || diff != "" {
			t.Errorf("Record changed the event, or it is another without the profile (-want +got):\n%s", diff)
		}
	}
	if none := of("", ""); !cmp.Equal(none, none.WithoutProfile()) {
		t.Errorf("without a profile that it does not have it is %+v", none.WithoutProfile())
	}
}

// wireSize returns the sizes of the record in a batch: as the first record, and as the last one of the largest batch.
func wireSize(r *registration.Record) (first, last int) {
	w := kmsg.Record{Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		w.Headers = append(w.Headers, kmsg.Header{Key: h.Key, Value: []byte(h.Value)})
	}
	size := func() int {
		w.Length = 0
		w.Length = int32(len(w.AppendTo(nil)) - 1)
		return len(w.AppendTo(nil))
	}
	first = size()
	w.OffsetDelta, w.TimestampDelta64 = math.MaxInt32, math.MaxInt64
	return first, size()
}

func TestSizeIsNeverTooLittle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // the same records every time
	text := func(limit int) string { return strings.Repeat("x", random.IntN(limit)) }
	records := []registration.Record{{}}
	for range 500 {
		r := registration.Record{Key: []byte(text(1025)), Value: []byte(text(1 << random.IntN(15)))}
		for range random.IntN(20) {
			r.Headers = append(r.Headers, registration.Header{Key: text(200), Value: text(3000)})
		}
		records = append(records, r)
	}
	for _, n := range []int{0, 63, 64, 8191, 8192} { // where the length of a length changes
		long := strings.Repeat("h", n)
		records = append(records, registration.Record{Key: make([]byte, 1024), Value: make([]byte, 990_000), Headers: []registration.Header{{Key: long, Value: long}}})
	}
	for _, r := range records {
		size, slack := r.Size(), 32+10*len(r.Headers)
		if first, last := wireSize(&r); size < max(first, last) || size > first+slack {
			t.Errorf("size = %d, on the wire %d to %d: key %d, value %d, headers %d", size, first, last, len(r.Key), len(r.Value), len(r.Headers))
		}
	}
}
