package registration_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

// TestDeriveID compares derived ids with the table that the Action and the backfill also use. To make one of its ids:
// printf 'acme\nauth0|1\n2026-11-21T19:00:00.123Z' | sha256sum | cut -c1-32.
func TestDeriveID(t *testing.T) {
	t.Parallel()
	text := must.Get[[]byte](t)(os.ReadFile(filepath.Join("..", "..", "auth0", "testdata", "ids.json")))
	var rows []struct{ Name, Tenant, UserID, CreatedAt, EventID string }
	if err := json.Unmarshal(text, &rows, json.MatchCaseInsensitiveNames(true)); err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, error %v", len(rows), err)
	}
	for _, row := range rows {
		if got := registration.DeriveID(row.Tenant, row.UserID, row.CreatedAt); got != row.EventID {
			t.Errorf("%s: got %s, want %s", row.Name, got, row.EventID)
		}
	}
}

// FuzzDeriveID checks that every spelling of a time gives the same id as the canonical one, and that no text causes a
// panic.
func FuzzDeriveID(f *testing.F) {
	for _, s := range []string{"", "2026-11-21T19:00:00.123Z", "2026-11-21T20:00:00+01:00", "2026-11-21T9:00:00Z", "2026-11-21T19:00:00,1Z", "2026-11-21T19:00:00+24:60"} {
		f.Add(s, int64(1795287600123))
	}
	f.Fuzz(func(t *testing.T, text string, ms int64) {
		registration.DeriveID("acme", "auth0|1", text)
		at := time.UnixMilli(ms).UTC()
		if at.Year() < 1 || at.Year() > 9998 {
			return
		}
		want := registration.DeriveID("acme", "auth0|1", at.Format("2006-01-02T15:04:05.000Z"))
		for _, spelt := range []string{
			at.Format(time.RFC3339Nano), at.Format("2006-01-02T15:04:05.000000-07:00"),
			at.In(time.FixedZone("", -11*3600-30*60)).Format(time.RFC3339Nano),
			at.Add(999 * time.Microsecond).In(time.FixedZone("", 13*3600)).Format(time.RFC3339Nano),
		} {
			if got := registration.DeriveID("acme", "auth0|1", spelt); got != want {
				t.Errorf("%s: got %s, want %s", spelt, got, want)
			}
		}
	})
}

// A repeat is known by a CloudEvent's own source and id, else by those that all forms have.
func TestRepeatKey(t *testing.T) {
	t.Parallel()
	stream := registration.Event{ID: "a0pur_1", Source: "urn:auth0:acme", Auth0Source: "urn:auth0:acme.eu.auth0.com", Auth0ID: "evt_1"}
	if got, want := stream.RepeatKey(), (registration.RepeatKey{Source: "urn:auth0:acme.eu.auth0.com", ID: "evt_1"}); got != want {
		t.Errorf("of a stream: got %+v, want %+v", got, want)
	}
	if got, want := of("", "", withID("e-1")).RepeatKey(), (registration.RepeatKey{Source: "urn:auth0:unknown", ID: "e-1"}); got != want {
		t.Errorf("of its own: got %+v, want %+v", got, want)
	}
}

// forms returns a request in each form with the user id, given as JSON text. The keys are the names of its member.
func forms(id string) map[string]string {
	return map[string]string{
		"userId":                  `{"userId":` + id + `}`,
		"user_id":                 `{"user_id":` + id + `}`,
		"data.object.user_id":     `{"specversion":"1.0","type":"user.created","data":{"object":{"user_id":` + id + `}}}`,
		"value.user_id":           `{"value":{"user_id":` + id + `}}`,
		"value.user_id of a text": `{"value":` + inJSON(`{"user_id":`+id+`}`) + `}`,
	}
}

func TestUserIDRule(t *testing.T) {
	t.Parallel()
	const blank = " \t\r\n\v\f\u0085\u2028\u3000"
	ids := map[string]bool{
		"": false, "\u00a0": false, blank: false, blank + "1": true, "a": true, "|": true, `"quoted\`: true,
		"\u0000": true, // a control character is not white space
		"waad|山田-🎉_\u200b\u202e\u00ad\ufeff" + string(unicode.MaxRune): true, // neither are formatting characters
		strings.Repeat("a", 1024): true, strings.Repeat("a", 1025): false, strings.Repeat("ż", 512): true, strings.Repeat("ż", 512) + "a": false,
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			ids["auth0|1"+string(r)] = true
		}
	}
	if len(ids) < 80 {
		t.Fatalf("%d ids: the white space and control characters are not among them", len(ids))
	}
	for id, ok := range ids {
		for member, body := range forms(inJSON(id)) {
			e, err := registration.Decoder{}.Decode(text(body), "", received())
			switch {
			case ok && (err != nil || e.UserID != id):
				t.Errorf("%s %.40q: event of %.40q, error %v, want it taken", member, id, e.UserID, err)
			case !ok && (err == nil || err.Error() != strings.TrimSuffix(member, " of a text")+": "+userIDRule):
				t.Errorf("%s %.40q: error %v, want it refused", member, id, err)
			}
		}
	}
}

func TestIDRule(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{strings.Repeat("x", 128): true, strings.Repeat("x", 129): false}
	for r := range rune(0x100) {
		ids["a"+string(r)] = '!' <= r && r <= '~'
	}
	for id, ok := range ids {
		inBody, bodyErr := registration.Decoder{}.Decode(text(`{"userId":"auth0|1","eventId":`+inJSON(id)+`}`), "", received())
		asKey, keyErr := registration.Decoder{}.Decode(text(`{"userId":"auth0|1"}`), id, received())
		if want := of("", "", withID(id)); ok && (!cmp.Equal(inBody, want) || !cmp.Equal(asKey, want)) || ok != (bodyErr == nil) || ok != (keyErr == nil) {
			t.Errorf("%q: %+v, %v as eventId, %+v, %v as Idempotency-Key, want it taken: %t", id, inBody, bodyErr, asKey, keyErr, ok)
		}
	}
	// One that is wrong is not made good by the other.
	for body, key := range map[string]string{`{"userId":"auth0|1","eventId":" "}`: "k-1", `{"userId":"auth0|1","eventId":"e-1"}`: " "} {
		if _, err := (registration.Decoder{}).Decode(text(body), key, received()); err == nil {
			t.Errorf("%s with the key %q is taken", body, key)
		}
	}
}

func TestValidTenant(t *testing.T) {
	t.Parallel()
	for tenant, want := range map[string]bool{
		"a": true, "acme-dev.eu_1": true, "ACME": true, strings.Repeat("a", 128): true,
		"": false, strings.Repeat("a", 129): false, "a b": false, "a/b": false, "a:b": false, "ż": false, "a\n": false, "a\xff": false,
	} {
		if got := registration.ValidTenant(tenant); got != want {
			t.Errorf("ValidTenant(%q) = %t, want %t", tenant, got, want)
		}
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"auth0|61de2511fd334200aa221dff": "auth0|61de2511fd334200aa221dff",
		`waad|conn|DOMAIN\jane doe`:      `waad|conn|DOMAIN\jane doe`,
		"auth0|Zażółć-山田太郎-🎉":            "auth0|Zażółć-山田太郎-🎉",
		`a"b`:                            `a"b`,
		`"a"`:                            `"\"a\""`,
		"auth0|1\n{\"level\":\"ERROR\"}": `"auth0|1\n{\"level\":\"ERROR\"}"`,
		"auth0|\u202e1":                  `"auth0|\u202e1"`,
		"auth0|1\u200b":                  `"auth0|1\u200b"`,
		"auth0|1\x1b[31m":                `"auth0|1\x1b[31m"`,
		"auth0|\u00a01":                  `"auth0|\u00a01"`,
		"auth0|\u20281":                  `"auth0|\u20281"`,
		"\ufeffauth0|1":                  `"\ufeffauth0|1"`,
		" auth0|1":                       `" auth0|1"`,
		"auth0|1 ":                       `"auth0|1 "`,
		"auth0|1\x00":                    `"auth0|1\x00"`,
	} {
		if got := registration.Shown(id); got != want {
			t.Errorf("Shown(%q) = %s, want %s", id, got, want)
		}
	}
}

// FuzzShown checks that the result is one line of visible characters, and differs for different ids.
func FuzzShown(f *testing.F) {
	f.Add("auth0|1", "auth0|1\n")
	f.Add(`"a"`, "a")
	f.Add(`a\n`, "a\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		shown := registration.Shown(a)
		if strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("Shown(%q) = %q", a, shown)
		}
		if strings.HasPrefix(shown, `"`) {
			if back, err := strconv.Unquote(shown); err != nil || back != a {
				t.Errorf("Shown(%q) = %s, which is %q", a, shown, back)
			}
		} else if shown != a {
			t.Errorf("Shown(%q) = %s", a, shown)
		}
		if (shown == registration.Shown(b)) != (a == b) {
			t.Errorf("%q and %q are shown as %s", a, b, shown)
		}
	})
}
