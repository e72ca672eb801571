package registration_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// text makes a body.
func text(s string) registration.Body {
	return registration.Body{Reader: strings.NewReader(s), Length: int64(len(s))}
}

// received is when the requests of these tests arrived.
func received() time.Time {
	return time.Date(2026, 11, 24, 11, 0, 0, 250_000_000, time.FixedZone("", 3600))
}

func date(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// derived returns the event id of a registration without one, according to the documentation.
func derived(tenant, userID, createdAt string) string {
	if at, err := time.Parse(time.RFC3339Nano, createdAt); err == nil && 0 <= at.UTC().Year() && at.UTC().Year() <= 9999 {
		createdAt = at.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	sum := sha256.Sum256([]byte(tenant + "\n" + userID + "\n" + createdAt))
	return "a0pur_" + hex.EncodeToString(sum[:])[:32]
}

// replaced returns the event id for a CloudEvent whose own id violates the rule.
func replaced(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "a0evt_" + hex.EncodeToString(sum[:])[:32]
}

type accepted struct {
	decoder   registration.Decoder
	key, body string
	want      registration.Event
}

func runAll(t *testing.T, cases map[string]accepted) {
	t.Helper()
	for name, c := range cases {
		got, err := c.decoder.Decode(text(c.body), c.key, received())
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, event (-want +got):\n%s", name, err, diff)
		}
	}
}

// plain is the event of a request that has only a user id.
func plain(userID string) registration.Event {
	return registration.Event{ID: derived("", userID, ""), UserID: userID, Source: "urn:auth0:unknown", Time: received().UTC()}
}

func chosen(userID, id string) registration.Event {
	e := plain(userID)
	e.ID, e.Chosen = id, true
	return e
}

func TestDecodeUserID(t *testing.T) {
	t.Parallel()
	tenant := registration.Decoder{Tenant: "by-setting"}
	ofTenant := func(name string) registration.Event {
		e := plain("auth0|1")
		e.ID, e.Source = derived(name, "auth0|1", ""), "urn:auth0:"+name
		return e
	}
	leftOut := ofTenant("by-setting")
	leftOut.TenantLeftOut = true
	full := registration.Event{
		ID: "e-1", Chosen: true, UserID: "auth0|1", Source: "urn:auth0:acme.eu", Time: date("2026-11-21T18:00:00.123Z"),
		Profile: []byte(`{"created_at":"2026-11-21T19:00:00.123+01:00","age":5}`),
	}
	atTime := plain("auth0|1")
	atTime.ID, atTime.Time = derived("", "auth0|1", "2026-11-21T19:00:00Z"), date("2026-11-21T19:00:00Z")
	noTime := plain("auth0|1")
	noTime.ID = derived("", "auth0|1", "yesterday")
	runAll(t, map[string]accepted{
		"alone":                          {body: `{"userId":"auth0|1"}`, want: plain("auth0|1")},
		"white space around":             {body: "\r\n\t {\"userId\" :\n\"auth0|1\"} \n", want: plain("auth0|1")},
		"escapes in name and value":      {body: `{"user\u0049d":"auth0\u007c\u0031"}`, want: plain("auth0|1")},
		"surrogate pair":                 {body: `{"userId":"auth0|\ud83c\udf89"}`, want: plain("auth0|🎉")},
		"Idempotency-Key":                {key: "k-1", body: `{"userId":"auth0|1"}`, want: chosen("auth0|1", "k-1")},
		"Idempotency-Key before eventId": {key: "k-1", body: `{"userId":"auth0|1","eventId":"e-1"}`, want: chosen("auth0|1", "k-1")},
		"tenant of the body":             {body: `{"userId":"auth0|1","tenant":"acme.eu"}`, want: ofTenant("acme.eu")},
		"tenant of the setting":          {decoder: tenant, body: `{"userId":"auth0|1"}`, want: ofTenant("by-setting")},
		"tenant: the body's wins":        {decoder: tenant, body: `{"userId":"auth0|1","tenant":"acme"}`, want: ofTenant("acme")},
		"byte order mark":                {body: "\ufeff" + `{"userId":"auth0|1"}`, want: plain("auth0|1")},
		"tenant: Auth0's example":        {decoder: tenant, body: `{"userId":"auth0|1","tenant":"{{TENANT}}"}`, want: leftOut},
		"tenant: number":                 {decoder: tenant, body: `{"userId":"auth0|1","tenant":7}`, want: leftOut},
		"tenant: event.tenant":           {decoder: tenant, body: `{"userId":"auth0|1","tenant":{"id":"acme"}}`, want: leftOut},
		"tenant: lone surrogate":         {decoder: tenant, body: `{"userId":"auth0|1","tenant":"a\ud800"}`, want: leftOut},
		"tenant: twice":                  {decoder: tenant, body: `{"userId":"auth0|1","tenant":"a","tenant":"b"}`, want: leftOut},
		"null is absent": {
			decoder: registration.Decoder{Profile: true},
			body:    `{"userId":"auth0|1","eventId":null,"user":null,"tenant":null,"specversion":null,"type":null}`, want: plain("auth0|1"),
		},
		"all of it": {
			decoder: registration.Decoder{Profile: true, Tenant: "by-setting"},
			body: `{"eventId": "e-1", "tenant": "acme.eu", "userId": "auth0|1",
				"user": {"created_at": "2026-11-21T19:00:00.123+01:00", "age": 5}}`, want: full,
		},
		"no profile wanted":           {body: `{"userId":"auth0|1","user":{"created_at":"2026-11-21T19:00:00Z","email":"x"}}`, want: atTime},
		"profile with no sound time":  {body: `{"userId":"auth0|1","user":{"created_at":"yesterday"}}`, want: noTime},
		"profile with time: a number": {body: `{"userId":"auth0|1","user":{"created_at":1763752800}}`, want: plain("auth0|1")},
		"profile with two times":      {body: `{"userId":"auth0|1","user":{"created_at":"2026-11-21T19:00:00Z","created_at":"2026-11-21T19:00:00Z"}}`, want: plain("auth0|1")},
		"profile with broken time":    {body: `{"userId":"auth0|1","user":{"created_at":"\ud800"}}`, want: plain("auth0|1")},
		"unknown members":             {body: `{"a":[{}],"userId":"auth0|1","b":{"userId":2},"a":1,"USERID":3,"userid":4}`, want: plain("auth0|1")},
		"before user_id":              {body: `{"user_id":"auth0|2","userId":"auth0|1"}`, want: plain("auth0|1")},
		"specversion without type":    {body: `{"userId":"auth0|1","specversion":"1.0"}`, want: plain("auth0|1")},
		"type without specversion":    {body: `{"userId":"auth0|1","type":"user.created","id":"evt_1"}`, want: plain("auth0|1")},
		"members of other forms": {
			body: `{"userId":"auth0|1","specversion":1,"id":2,"source":3,"time":4,"data":5,"a0tenant":6,"a0purpose":7,"user_id":8,"created_at":9,"id":10}`,
			want: plain("auth0|1"),
		},
	})
}

func TestDecodeProfile(t *testing.T) {
	t.Parallel()
	const createdAt = "2026-11-21T19:00:00.123Z"
	atTime := registration.Event{
		ID: derived("acme", "email|1", createdAt), UserID: "email|1", Source: "urn:auth0:acme", Time: date(createdAt),
	}
	full := atTime
	full.Profile = []byte(`{"user_id":"email|1","tenant":"acme","created_at":"` + createdAt + `"}`)
	settings := plain("email|1")
	settings.ID, settings.Source, settings.TenantLeftOut = derived("by-setting", "email|1", ""), "urn:auth0:by-setting", true
	runAll(t, map[string]accepted{
		"alone":              {body: `{"user_id":"email|1"}`, want: plain("email|1")},
		"userId null":        {body: `{"user_id":"email|1","userId":null}`, want: plain("email|1")},
		"tenant and time":    {body: `{"user_id":"email|1","tenant":"acme","created_at":"` + createdAt + `"}`, want: atTime},
		"kept as it came":    {decoder: registration.Decoder{Profile: true}, body: ` { "user_id":"email|1", "tenant":"acme", "created_at":"` + createdAt + "\" }\n", want: full},
		"Idempotency-Key":    {key: "k-1", body: `{"user_id":"email|1"}`, want: chosen("email|1", "k-1")},
		"eventId is not its": {body: `{"user_id":"email|1","eventId":" "}`, want: plain("email|1")},
		"user is not its":    {body: `{"user_id":"email|1","user":1}`, want: plain("email|1")},
		"tenant not a name":  {decoder: registration.Decoder{Tenant: "by-setting"}, body: `{"user_id":"email|1","tenant":"a b"}`, want: settings},
		"tenant no string":   {decoder: registration.Decoder{Tenant: "by-setting"}, body: `{"user_id":"email|1","tenant":{"id":"acme"}}`, want: settings},
		"tenant twice":       {decoder: registration.Decoder{Tenant: "by-setting"}, body: `{"user_id":"email|1","tenant":"a","tenant":"a"}`, want: settings},
		"time twice":         {body: `{"user_id":"email|1","created_at":"` + createdAt + `","created_at":null}`, want: plain("email|1")},
		"duplicates within":  {body: `{"user_id":"email|1","name":"a","name":"b","user_metadata":{"x":1,"x":2}}`, want: plain("email|1")},
	})
}

// The form of Kafka REST clients gives the same event as the profile within it.
func TestDecodeValue(t *testing.T) {
	t.Parallel()
	const createdAt = "2026-11-21T19:00:00.123Z"
	profile := `{"user_id":"email|1","tenant":"acme","created_at":"` + createdAt + `","a":{"b":"ż\"\\\n"}}`
	want := registration.Event{
		ID: derived("acme", "email|1", createdAt), UserID: "email|1", Source: "urn:auth0:acme", Time: date(createdAt), Profile: []byte(profile),
	}
	withKey := want
	withKey.ID, withKey.Chosen = "k-1", true
	withoutProfile := want
	withoutProfile.Profile = nil
	full := registration.Decoder{Profile: true}
	escaped := strings.NewReplacer(`"`, `\u0022`, `\`, `\u005C`, "ż", `\u017c`).Replace(profile)
	runAll(t, map[string]accepted{
		"an object":             {decoder: full, body: `{"value":` + profile + `}`, want: want},
		"its text":              {decoder: full, body: `{"value":` + inJSON(profile) + `}`, want: want},
		"its text, all escaped": {decoder: full, body: `{"value":"` + escaped + `"}`, want: want},
		"its text, spaced":      {decoder: full, body: `{"value":` + inJSON(" \n"+strings.ReplaceAll(profile, ",", " ,\n")+"\t") + `}`, want: want},
		"null beside it":        {decoder: full, body: `{"userId":null,"user_id":null,"value":` + inJSON(profile) + `}`, want: want},
		"Idempotency-Key":       {decoder: full, key: "k-1", body: `{"value":` + inJSON(profile) + `}`, want: withKey},
		"no profile wanted":     {body: `{"value":` + inJSON(profile) + `}`, want: withoutProfile},
		"alone":                 {body: `{"value":"{\"user_id\":\"a\"}"}`, want: plain("a")},
		"userId goes first":     {body: `{"value":"{\"user_id\":\"a\"}","userId":"b"}`, want: plain("b")},
		"user_id goes first":    {body: `{"value":"no JSON","user_id":"b"}`, want: plain("b")},
		"a CloudEvent too":      {body: envelope(`"value":"no JSON",`), want: plain("auth0|1")},
	})
}

func TestDecodeKeepsNothingOfTheBody(t *testing.T) {
	t.Parallel()
	for member, body := range forms(`"auth0|1","tenant":"acme","created_at":"2026-11-21T19:00:00Z"`) {
		raw := []byte(body)
		d := registration.Decoder{Profile: true}
		got, err := d.Decode(registration.Body{Reader: bytes.NewReader(raw)}, "", received())
		if err != nil {
			t.Fatalf("%s: %v", member, err)
		}
		for i := range raw {
			raw[i] = '#'
		}
		if diff := cmp.Diff(decode(t, d, body), got); diff != "" {
			t.Errorf("%s: the event changed with the body (-want +got):\n%s", member, diff)
		}
	}
}

// Times are written as RFC 3339, which has years of four digits: 0000 to 9999, also after the conversion to UTC.
func TestDecodeTimeOfYearsBeyondRFC3339(t *testing.T) {
	t.Parallel()
	for createdAt, want := range map[string]time.Time{
		"9999-12-31T23:59:59.999999999Z": date("9999-12-31T23:59:59.999999999Z"),
		"9999-12-31T23:59:59-00:01":      received().UTC(),
		"0000-01-01T00:00:00Z":           date("0000-01-01T00:00:00Z"),
		"0000-01-01T00:00:00+00:01":      received().UTC(),
		"10000-01-01T00:00:00Z":          received().UTC(),
		"-001-01-01T00:00:00Z":           received().UTC(),
	} {
		e, err := registration.Decoder{}.Decode(text(`{"user_id":"auth0|1","created_at":"`+createdAt+`"}`), "", received())
		if err != nil {
			t.Fatal(err)
		}
		if !e.Time.Equal(want) {
			t.Errorf("created_at %s: time %v, want %v", createdAt, e.Time, want)
		}
		if strings.Contains(e.Time.Format(time.RFC3339Nano), "+") || e.Time.Location() != time.UTC {
			t.Errorf("created_at %s: time %v is not UTC", createdAt, e.Time)
		}
		if e.ID != derived("", "auth0|1", createdAt) {
			t.Errorf("created_at %s: the id is derived from another text", createdAt)
		}
	}
}

// TestDeriveIDTable has more of them.
func TestDeriveID(t *testing.T) {
	t.Parallel()
	// printf 'acme\nauth0|61de2511fd334200aa221dff\n2026-11-21T19:00:00.123Z' | sha256sum | cut -c1-32
	if got, want := registration.DeriveID("acme", "auth0|61de2511fd334200aa221dff", "2026-11-21T19:00:00.123Z"), "a0pur_950ca78baf5ac155397299fee18a2ae5"; got != want {
		t.Errorf("DeriveID = %s, want %s", got, want)
	}
}
