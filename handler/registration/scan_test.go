package registration_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

// FuzzScan compares the scanner with a library: both accept the same bodies, and the kept profile equals the library's
// format. The pieces in which a body arrives change nothing.
func FuzzScan(f *testing.F) {
	for _, path := range requests(f) {
		f.Add(must.Get[[]byte](f)(os.ReadFile(path)))
	}
	nested := func(depth int, open, inside, shut string) string {
		return `{"user_id":"a","x":` + strings.Repeat(open, depth) + inside + strings.Repeat(shut, depth) + `}`
	}
	for _, seed := range []string{
		`{"user_id":"a","n":[-0,0.5,1e9,1E+9,-1.5e-10,0,10],"t":[true,false,null],"o":{},"l":[],"s":"\"\\\/\b\f\n\r\t\u0000\u001f\u007f"}`,
		`{"user_id":"a","s":"\ud83c\udf89 \ud83c🎉 \udf89\ud83c \ud800\u0041 \uD800","\ud800":1,"ż":{"ż":"ż"}}`,
		`{"user_id":"a","n":01}`, `{"user_id":"a","n":1.}`, `{"user_id":"a","n":.5}`, `{"user_id":"a","n":-}`, `{"user_id":"a","n":1e}`, `{"user_id":"a","n":+1}`,
		`{"user_id":"a","n":tru}`, `{"user_id":"a","n":nullx}`, `{"user_id":"a",}`, `{"user_id":"a" "b":1}`, `{"user_id":"a","b"}`, `{"user_id":"a","b":[1,]}`,
		`{"user_id":"a","b":[1 2]}`, `{"user_id":"a","b":[1}}`, `{"user_id":"a","b":{"c":1]}`, `{"user_id":"a"}x`, `{"user_id":"a","s":"\x"}`, `{"user_id":"a","s":"\u12g4"}`,
		`{"user_id":"a","s":"\u12"}`, `{"user_id":"a","s":"\`, "{\"user_id\":\"a\",\"s\":\"\x01\"}", "{\"user_id\":\"a\",\"s\":\"\xe2\x82\"}", "{\"user_id\":\"a\x00\"}",
		"\ufeff{\"user_id\":\"a\"}", `{"value":"{\"user_id\":\"a\",\"b\":[\"\\u00e9\\n\"]}"}`, `{"value":{"user_id":"a"}}`, `{"user_id":"a","\u0075ser_id":1}`,
		`{"user_id":"a","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":1,"aaaaaaaaaaaaaaaa":2,"aaaaaaaaaaaaaaaaa":3}`,
		nested(9_999, "[", "", "]"), nested(10_000, "[", "", "]"), nested(9_999, `{"a":`, "1", "}"), nested(10_000, `{"a":`, "1", "}"), // the library's limit
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, profile := range []bool{false, true} {
			d := registration.Decoder{Profile: profile}
			e, err := d.Decode(registration.Body{Reader: bytes.NewReader(body), Length: int64(len(body))}, "", received())
			invalid, _ := errors.AsType[*registration.InvalidError](err)
			if got, want := invalid == nil || invalid.Member != "body", reference(body); got != want {
				t.Fatalf("is it an object in JSON: %t (%v), want %t", got, err, want)
			}
			for name, pieces := range map[string]func(io.Reader) io.Reader{"bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "data and end at once": iotest.DataErrReader} {
				again, otherErr := d.Decode(registration.Body{Reader: pieces(bytes.NewReader(body))}, "", received())
				if diff := cmp.Diff(e, again); diff != "" || fmt.Sprint(err) != fmt.Sprint(otherErr) {
					t.Fatalf("in %s: %v, want %v\n%s", name, otherErr, err, diff)
				}
			}
			if profile && err == nil {
				checkProfile(t, body, e.Profile)
			}
		}
	})
}

// reference says whether a body is one JSON object in UTF-8.
func reference(body []byte) bool {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	v := jsontext.Value(body)
	return utf8.Valid(body) && v.IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) && v.Kind() == jsontext.KindBeginObject
}

// checkProfile compares a profile with one of the body's objects.
func checkProfile(t *testing.T, body, profile []byte) {
	t.Helper()
	options := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	whole, err := jsontext.AppendFormat(nil, bytes.TrimPrefix(body, []byte("\ufeff")), options...)
	if err != nil {
		t.Fatal(err)
	}
	if profile == nil || bytes.Contains(whole, profile) {
		return
	}
	quoted, err := jsontext.AppendQuote(nil, string(profile)) // in a value
	if formatted, formatErr := jsontext.AppendFormat(nil, profile, options...); err != nil || formatErr != nil || !bytes.Equal(formatted, profile) {
		t.Fatalf("the profile %q is not formatted: %v", profile, errors.Join(err, formatErr))
	}
	if !bytes.Contains(whole, quoted[1:len(quoted)-1]) && !bytes.Contains(body, []byte(`"value"`)) && !bytes.Contains(body, []byte(`\u`)) {
		t.Fatalf("the profile %q does not stand in the body %q", profile, whole)
	}
}

// If reading a body fails, at any position, the error is that of the body and not one about the sender's JSON.
func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection broke")
	for _, body := range []string{
		"\ufeff" + `{"userId":"a\u017cż","user":{"a":[1.5e3,true,null,"\ud83c\udf89"]},"x":-0} `,
		`{"value":"{\"user_id\":\"a\",\"b\":[\"\\u00e9\\n\"]} "} `,
		`{"specversion":"1.0","type":"user.created","data":{"object":{"user_id":"a"}}} `,
	} {
		for n := range len(body) + 1 {
			for _, profile := range []bool{false, true} {
				r := io.MultiReader(strings.NewReader(body[:n]), iotest.ErrReader(broken))
				e, err := registration.Decoder{Profile: profile}.Decode(registration.Body{Reader: r, Length: int64(len(body))}, "", received())
				if !errors.Is(err, broken) {
					t.Errorf("after %d bytes of %s: %+v, %v", n, body, e, err)
				}
			}
		}
	}
}

// A reader that permanently returns 0 bytes and no error causes io.ErrNoProgress.
func TestBodyWithoutProgress(t *testing.T) {
	t.Parallel()
	if _, err := (registration.Decoder{}).Decode(registration.Body{Reader: iotest.ErrReader(nil)}, "", received()); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
}
