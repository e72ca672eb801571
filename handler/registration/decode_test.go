package registration_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

const createdAt = "2026-11-21T19:00:00.123Z"

// text makes a body.
func text(s string) registration.Body {
	return registration.Body{Reader: strings.NewReader(s), Length: int64(len(s))}
}

// received is when the requests of these tests arrived.
func received() time.Time {
	return time.Date(2026, 11, 24, 11, 0, 0, 250_000_000, time.FixedZone("", 3600))
}

// change is a difference of an event from a plain one.
type change = func(*registration.Event)

// of returns the event of the user auth0|1, with a tenant and a time of creation unless they are empty, and changes.
func of(tenant, created string, changes ...change) registration.Event {
	e := registration.Event{
		ID: registration.DeriveID(tenant, "auth0|1", created), UserID: "auth0|1", Source: "urn:auth0:" + tenant, Time: received().UTC(),
	}
	if tenant == "" {
		e.Source = "urn:auth0:unknown"
	}
	if at, err := time.Parse(time.RFC3339Nano, created); err == nil {
		e.Time = at.UTC()
	}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func withID(id string) change {
	return func(e *registration.Event) { e.ID, e.Chosen = id, true }
}

// ofStream is for a CloudEvent with an id and no tenant or created_at.
func ofStream(id string) change {
	return func(e *registration.Event) { e.ID, e.Chosen, e.Auth0ID = id, true, id }
}

func at(s string) change {
	return func(e *registration.Event) { e.Time, _ = time.Parse(time.RFC3339Nano, s) }
}

func atReceipt(e *registration.Event) { e.Time = received().UTC() }
func leftOut(e *registration.Event)   { e.TenantLeftOut = true }

func withProfile(s string) change {
	return func(e *registration.Event) { e.Profile = []byte(s) }
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

// docs/forms.md has requests of every form; these are the cases that its tables do not show.
func TestDecodeUserID(t *testing.T) {
	t.Parallel()
	full, bySetting := registration.Decoder{Profile: true, Tenant: "by-setting"}, registration.Decoder{Tenant: "by-setting"}
	user := func(user string) string { return `{"userId":"auth0|1","user":{` + user + `}}` }
	runAll(t, map[string]accepted{
		"all of it": {
			decoder: full,
			body:    `{"eventId": "e-1", "tenant": "acme.eu", "userId": "auth0|1", "user": {"created_at": "2026-11-21T20:00:00.123+01:00", "age": 5}}`,
			want:    of("acme.eu", createdAt, withID("e-1"), withProfile(`{"created_at":"2026-11-21T20:00:00.123+01:00","age":5}`)),
		},
		"null is absent": {
			decoder: registration.Decoder{Profile: true},
			body:    `{"userId":"auth0|1","eventId":null,"user":null,"tenant":null,"specversion":null,"type":null}`, want: of("", ""),
		},
		"Idempotency-Key before eventId": {key: "k-1", body: `{"userId":"auth0|1","eventId":"e-1"}`, want: of("", "", withID("k-1"))},
		"tenant of the setting":          {decoder: bySetting, body: `{"userId":"auth0|1"}`, want: of("by-setting", "")},
		"tenant: not a name":             {decoder: bySetting, body: `{"userId":"auth0|1","tenant":"{{TENANT}}"}`, want: of("by-setting", "", leftOut)},
		"tenant: number":                 {decoder: bySetting, body: `{"userId":"auth0|1","tenant":7}`, want: of("by-setting", "", leftOut)},
		"tenant: lone surrogate":         {decoder: bySetting, body: `{"userId":"auth0|1","tenant":"a\ud800"}`, want: of("by-setting", "", leftOut)},
		"tenant: twice":                  {decoder: bySetting, body: `{"userId":"auth0|1","tenant":"a","tenant":"b"}`, want: of("by-setting", "", leftOut)},
		"no profile wanted":              {body: user(`"created_at":"` + createdAt + `","email":"x"`), want: of("", createdAt)},
		"time: not one":                  {body: user(`"created_at":"yesterday"`), want: of("", "yesterday")},
		"time: a number":                 {body: user(`"created_at":1763752800`), want: of("", "")},
		"time: twice":                    {body: user(`"created_at":"` + createdAt + `","created_at":"` + createdAt + `"`), want: of("", "")},
		"time: lone surrogate":           {body: user(`"created_at":"\ud800"`), want: of("", "")},
		"before user_id":                 {body: `{"user_id":"auth0|2","userId":"auth0|1"}`, want: of("", "")},
		"specversion without type":       {body: `{"userId":"auth0|1","specversion":"1.0"}`, want: of("", "")},
		"type without specversion":       {body: `{"userId":"auth0|1","type":"user.created","id":"evt_1"}`, want: of("", "")},
		"members of other forms": {
			body: `{"userId":"auth0|1","specversion":1,"id":2,"source":3,"time":4,"data":5,"a0tenant":6,"a0purpose":7,"user_id":8,"created_at":9,"id":10}`,
			want: of("", ""),
		},
	})
}

func TestDecodeProfile(t *testing.T) {
	t.Parallel()
	full, bySetting := registration.Decoder{Profile: true}, registration.Decoder{Tenant: "by-setting"}
	user := func(name string) string { return `{"user_id":"auth0|1",` + name + `}` }
	created := func(at string) string { return user(`"created_at":"` + at + `"`) }
	runAll(t, map[string]accepted{
		"kept as it came": {
			decoder: full, body: ` { "user_id":"auth0|1", "tenant":"acme", "created_at":"` + createdAt + "\" }\n",
			want: of("acme", createdAt, withProfile(user(`"tenant":"acme","created_at":"`+createdAt+`"`))),
		},
		"userId null":        {body: user(`"userId":null`), want: of("", "")},
		"Idempotency-Key":    {key: "k-1", body: `{"user_id":"auth0|1"}`, want: of("", "", withID("k-1"))},
		"eventId is not its": {body: user(`"eventId":" "`), want: of("", "")},
		"user is not its":    {body: user(`"user":1`), want: of("", "")},
		"tenant: not a name": {decoder: bySetting, body: user(`"tenant":"a b"`), want: of("by-setting", "", leftOut)},
		"duplicates within":  {body: user(`"name":"a","name":"b","user_metadata":{"x":1,"x":2}`), want: of("", "")},
		// RFC 3339 has years of four digits, also after the conversion to UTC.
		"last time":        {body: created("9999-12-31T23:59:59.999999999Z"), want: of("", "9999-12-31T23:59:59.999999999Z")},
		"after the last":   {body: created("9999-12-31T23:59:59-00:01"), want: of("", "9999-12-31T23:59:59-00:01", atReceipt)},
		"first time":       {body: created("0000-01-01T00:00:00Z"), want: of("", "0000-01-01T00:00:00Z")},
		"before the first": {body: created("0000-01-01T00:00:00+00:01"), want: of("", "0000-01-01T00:00:00+00:01", atReceipt)},
		"five digits":      {body: created("10000-01-01T00:00:00Z"), want: of("", "10000-01-01T00:00:00Z")},
	})
}

// The form of Kafka REST clients gives the same event as the profile within it.
func TestDecodeValue(t *testing.T) {
	t.Parallel()
	const user = `{"user_id":"auth0|1","tenant":"acme","created_at":"` + createdAt + `","a":{"b":"ż\"\\\n"}}`
	full, want := registration.Decoder{Profile: true}, of("acme", createdAt, withProfile(user))
	escaped := strings.NewReplacer(`"`, `\u0022`, `\`, `\u005C`, "ż", `\u017c`).Replace(user)
	runAll(t, map[string]accepted{
		"an object":             {decoder: full, body: `{"value":` + user + `}`, want: want},
		"its text":              {decoder: full, body: `{"value":` + inJSON(user) + `}`, want: want},
		"its text, all escaped": {decoder: full, body: `{"value":"` + escaped + `"}`, want: want},
		"its text, spaced":      {decoder: full, body: `{"value":` + inJSON(" \n"+strings.ReplaceAll(user, ",", " ,\n")+"\t") + `}`, want: want},
		"null beside it":        {decoder: full, body: `{"userId":null,"user_id":null,"value":` + inJSON(user) + `}`, want: want},
		"Idempotency-Key":       {key: "k-1", body: `{"value":` + inJSON(user) + `}`, want: of("acme", createdAt, withID("k-1"))},
		"userId goes first":     {body: `{"value":"{\"user_id\":\"a\"}","userId":"auth0|1"}`, want: of("", "")},
		"user_id goes first":    {body: `{"value":"no JSON","user_id":"auth0|1"}`, want: of("", "")},
		"a CloudEvent too":      {body: cloudEvent(`"value":"no JSON",`), want: of("", "")},
	})
}

// cloudEvent returns one of Auth0 Event Streams with the user auth0|1, additional members, and members of the user.
func cloudEvent(more string, user ...string) string {
	return `{"specversion":"1.0","type":"user.created",` + more + `"data":{"object":{"user_id":"auth0|1"` + strings.Join(user, "") + `}}}`
}

func TestDecodeCloudEvent(t *testing.T) {
	t.Parallel()
	const (
		sent = "2025-02-02T17:56:01.573Z"
		when = `,"created_at":"` + createdAt + `"`
	)
	own := func(source string) change { // where no tenant is known
		return func(e *registration.Event) { e.Source, e.Auth0Source = source, source }
	}
	beside := func(source string) change {
		return func(e *registration.Event) { e.Auth0Source = source }
	}
	derived := func(e *registration.Event) { e.Chosen, e.Auth0ID = true, "evt_1" }
	bySetting, longID := registration.Decoder{Tenant: "by-setting"}, strings.Repeat("i", 128)
	runAll(t, map[string]accepted{
		"all of it": {
			decoder: registration.Decoder{Profile: true, Tenant: "by-setting"},
			body: `{"id":"evt_1","source":"urn:auth0:acme.us.auth0.com","specversion":"1.0","type":"user.created","time":"` + sent + `",
				"data":{"object":{"user_id":"auth0|1" ` + when + `},"context":{"tenant":{"id":"t"}}},"a0tenant":"acme","a0stream":"est_1","a0purpose":"test"}`,
			want: of("acme", createdAt, at(sent), derived, beside("urn:auth0:acme.us.auth0.com"), withProfile(`{"user_id":"auth0|1"`+when+`}`),
				func(e *registration.Event) { e.Test = true }),
		},
		"a version that is a number":     {body: `{"specversion":1,"type":"user.created","data":{"object":{"user_id":"auth0|1"}}}`, want: of("", "")},
		"before userId and user_id":      {body: cloudEvent(`"userId":1,"user_id":2,"eventId":3,"user":4,"tenant":5,`), want: of("", "")},
		"null is absent":                 {body: cloudEvent(`"id":null,"source":null,"time":null,"a0tenant":null,"a0purpose":null,`), want: of("", "")},
		"Idempotency-Key is not its":     {key: "k-1", body: cloudEvent(`"id":"evt_1",`), want: of("", "", ofStream("evt_1"))},
		"a bad Idempotency-Key too":      {key: "ż", body: cloudEvent(``), want: of("", "")},
		"id: empty":                      {body: cloudEvent(`"id":"",`), want: of("", "")},
		"id: longest":                    {body: cloudEvent(`"id":"` + longID + `",`), want: of("", "", ofStream(longID))},
		"id: too long":                   {body: cloudEvent(`"id":"` + longID + `i",`), want: of("", "", ofStream(replaced(longID+"i")))},
		"id: very long":                  {body: cloudEvent(`"id":"` + strings.Repeat("i", 100_000) + `",`), want: of("", "", ofStream(replaced(strings.Repeat("i", 2049))))},
		"id: lone surrogate":             {body: cloudEvent(`"id":"a\ud800",`), want: of("", "", ofStream(replaced("a�")))},
		"source: own, where no tenant":   {body: cloudEvent(`"source":"urn:x",`), want: of("", "", own("urn:x"))},
		"source: tenant before own":      {body: cloudEvent(`"source":"urn:x","a0tenant":"acme",`), want: of("acme", "", beside("urn:x"))},
		"source: setting before own":     {decoder: bySetting, body: cloudEvent(`"source":"urn:x",`), want: of("by-setting", "", beside("urn:x"))},
		"source: empty":                  {body: cloudEvent(`"source":"","a0tenant":"acme",`), want: of("acme", "")},
		"source: longest":                {body: cloudEvent(`"source":"` + strings.Repeat("s", 2048) + `",`), want: of("", "", own(strings.Repeat("s", 2048)))},
		"source: too long":               {body: cloudEvent(`"source":"` + strings.Repeat("s", 2049) + `",`), want: of("", "")},
		"source: not ASCII":              {body: cloudEvent(`"source":"urn:ż",`), want: of("", "")},
		"tenant: not a name":             {decoder: bySetting, body: cloudEvent(`"a0tenant":"{{TENANT}}",`), want: of("by-setting", "", leftOut)},
		"tenant and time, but no id":     {body: cloudEvent(`"a0tenant":"acme",`, when), want: of("acme", createdAt)},
		"id, but no tenant":              {body: cloudEvent(`"id":"evt_1",`, when), want: of("", createdAt, ofStream("evt_1"))},
		"id, time, the setting's tenant": {decoder: bySetting, body: cloudEvent(`"id":"evt_1",`, when), want: of("by-setting", createdAt, derived)},
		"id and tenant, but no time":     {body: cloudEvent(`"id":"evt_1","a0tenant":"acme",`), want: of("acme", "", ofStream("evt_1"))},
		"id, tenant, created_at no time": {body: cloudEvent(`"id":"evt_1","a0tenant":"acme",`, `,"created_at":"yesterday"`), want: of("acme", "", ofStream("evt_1"))},
		"time: own":                      {body: cloudEvent(`"time":"` + sent + `",`), want: of("", "", at(sent))},
		"time: not one, created_at":      {body: cloudEvent(`"time":"now",`, when), want: of("", createdAt)},
		"created_at: twice":              {body: cloudEvent(``, when, when), want: of("", "")},
		"purpose: another":               {body: cloudEvent(`"a0purpose":"Test",`), want: of("", "")},
		"duplicates in the profile":      {body: cloudEvent(``, `,"a":1,"a":2`), want: of("", "")},
		"other data, twice":              {body: `{"specversion":"1.0","type":"user.created","data":{"context":1,"context":2,"object":{"user_id":"auth0|1"}}}`, want: of("", "")},
	})
}

func TestDecodeIgnoresOtherTypes(t *testing.T) {
	t.Parallel()
	body := func(typ string) string { return `{"specversion":"1.0","id":"evt_1","type":"` + typ + `"}` }
	long := strings.Repeat("ż", 200)
	for body, want := range map[string]registration.IgnoredError{
		body("user.updated"):    {ID: "evt_1", Type: "user.updated"},
		body("xuser.created"):   {ID: "evt_1", Type: "xuser.created"},
		body("user.Created"):    {ID: "evt_1", Type: "user.Created"},
		body("user.created.v2"): {ID: "evt_1", Type: "user.created.v2"},
		body(""):                {ID: "evt_1"},
		body(long[:256]):        {ID: "evt_1", Type: long[:256]},
		body("x" + long):        {ID: "evt_1", Type: "x" + long[:254]}, // whole characters of at most 256 bytes
		`{"spec_version":"1.0","id":"evt_1","type":"com.auth0.user.deleted"}`:                     {ID: "evt_1", Type: "com.auth0.user.deleted"},
		`{"specversion":"1.0","id":"evt_1","type":"group.created","data":7}`:                      {ID: "evt_1", Type: "group.created"},
		`{"specversion":"1.0","id":"a b","type":"group.created"}`:                                 {ID: replaced("a b"), Type: "group.created"},
		`{"specversion":"1.0","type":"group.created"}`:                                            {ID: replaced("group.created\n\n"), Type: "group.created"},
		`{"specversion":"1.0","id":{"a":"x"},"type":"group.created","source":"urn:x","time":"t"}`: {ID: replaced("group.created\nurn:x\nt"), Type: "group.created"},
	} {
		e, err := registration.Decoder{}.Decode(text(body), "", received())
		if got, ok := errors.AsType[*registration.IgnoredError](err); !ok || *got != want || strings.Contains(err.Error(), "created") {
			t.Errorf("%s: event %+v, error %v, %+v, want %+v", body, e, err, got, want)
		}
	}
}
