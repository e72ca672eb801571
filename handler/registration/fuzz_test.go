package registration_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

// FuzzDecode checks the package's promise for every body: an error of one of two types, or an event whose record fits
// Kafka and can be read again.
func FuzzDecode(f *testing.F) {
	for _, path := range requests(f) {
		f.Add(must.Get[[]byte](f)(os.ReadFile(path)), "")
	}
	for _, seed := range []string{
		`{"userId":"auth0|1","eventId":"e-1","tenant":"acme","user":{"a":"\ud800","a":1e999}}`,
		`{"user_id":"auth0|1","created_at":"9999-12-31T23:59:59-23:59","tenant":"a b"}`,
		`{"spec_version":1,"type":"x.user.created","id":"a b","source":"é","time":"0000-01-01T00:00:00+01:00","data":{"object":{"user_id":"\u2028"}}}`,
		`{"specversion":"1.0","type":"","id":null}`,
		`{"value":"{\"user_id\":\"a b\\n\",\"created_at\":\"2026-11-21T19:00:00.123+00:00\",\"tenant\":\"acme\",\"x\":\"\\ud800\"}"}`,
		`{"value":{"user_id":"\u202e","tenant":{}}}`, `{"value":"\ud800"}`, `{"value":7,"user_id":" "}`,
		`{"specversion":"1.0","type":"user.created","id":"evt_1","source":"urn:auth0:a.eu","a0tenant":"a","data":{"object":{"user_id":"a","created_at":"2026-11-21T19:00:00Z"}}}`,
		// the largest without a profile
		`{"specversion":"1.0","type":"user.created","a0purpose":"test","id":"` + strings.Repeat("i", 128) + `","source":"` + strings.Repeat("s", 2048) +
			`","data":{"object":{"user_id":"` + strings.Repeat(`\"`, 1024) + `"}}}`,
		`[]`, "\ufeff{}", `{"userId":"a"}{}`, "\xff",
	} {
		f.Add([]byte(seed), "key-1")
	}
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		for _, d := range []registration.Decoder{{}, {Profile: true, Tenant: "acme"}} {
			e, err := d.Decode(text(string(body)), key, received())
			if err != nil {
				checkError(t, err)
				continue
			}
			if !d.Profile && e.Profile != nil {
				t.Fatalf("profile %q, and none is wanted", e.Profile)
			}
			r := e.Record()
			checkRecord(t, e, &r)
			again, err := registration.Decoder{Profile: true}.Decode(text(string(r.Value)), "", received())
			if err != nil || again.UserID != e.UserID || string(again.Profile) != string(e.Profile) {
				t.Fatalf("the record's value %q as a request: %+v, %v", r.Value, again, err)
			}
			m, err := registration.ParseEnvelope(registration.Envelope{Event: e, Queued: received()}.Encode())
			if err != nil || m.Event.ID != e.ID || m.Event.UserID != e.UserID || !m.Event.Time.Equal(e.Time) {
				t.Fatalf("by way of the outbox: %+v, %v, want %+v", m.Event, err, e)
			}
		}
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if ignored, ok := errors.AsType[*registration.IgnoredError](err); ok {
		if !visible(ignored.ID, 128) || len(ignored.Type) > 256 || !utf8.ValidString(ignored.Type) {
			t.Fatalf("ignored: %+v", ignored)
		}
		return
	}
	invalid, ok := errors.AsType[*registration.InvalidError](err)
	if !ok {
		t.Fatalf("error %T: %v", err, err)
	}
	members := regexp.MustCompile(`^(body|userId|eventId|user|tenant|user_id|Idempotency-Key|specversion|spec_version|type|id|source|time|a0tenant|a0purpose|data(\.object(\.user_id)?)?|value(\.user_id)?)$`)
	if !members.MatchString(invalid.Member) || invalid.Rule == "" {
		t.Fatalf("invalid: %+v", invalid)
	}
}

func checkRecord(t *testing.T, e registration.Event, r *registration.Record) {
	t.Helper()
	if string(r.Key) != e.UserID || !utf8.Valid(r.Key) || len(r.Key) < 1 || len(r.Key) > 1024 || strings.TrimSpace(e.UserID) == "" {
		t.Fatalf("key %q", r.Key)
	}
	headers := map[string]string{}
	for _, h := range r.Headers {
		if _, twice := headers[h.Key]; twice || !utf8.ValidString(h.Key) || !utf8.ValidString(h.Value) {
			t.Fatalf("header %q: %q", h.Key, h.Value)
		}
		headers[h.Key] = h.Value
	}
	if !visible(headers["ce_id"], 128) || !visible(headers["ce_source"], 2048) || headers["ce_subject"] != e.UserID {
		t.Fatalf("headers %v", headers)
	}
	if _, err := time.Parse(time.RFC3339, headers["ce_time"]); err != nil {
		t.Fatalf("ce_time: %v", err)
	}
	if size := r.Size(); size > registration.MaxRecord {
		t.Fatalf("size %d", size)
	}
}

func visible(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}
