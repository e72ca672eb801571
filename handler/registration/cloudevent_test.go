package registration_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// envelope is a CloudEvent of Auth0 Event Streams with the user auth0|1 and more members.
func envelope(more string) string {
	return `{"specversion":"1.0","type":"user.created",` + more + `"data":{"object":{"user_id":"auth0|1"}}}`
}

func TestDecodeCloudEvent(t *testing.T) {
	t.Parallel()
	const (
		sent    = "2025-02-02T17:56:01.573Z"
		created = "2025-02-02T17:56:01.566Z"
	)
	full := registration.Event{
		ID: "evt_1", Chosen: true, UserID: "auth0|1", Source: "urn:auth0:acme.us.auth0.com", Time: date(sent), Test: true,
		Profile: []byte(`{"user_id":"auth0|1","created_at":"` + created + `"}`),
	}
	ofSource := func(source, tenant string) registration.Event {
		e := plain("auth0|1")
		e.ID, e.Source = derived(tenant, "auth0|1", ""), source
		return e
	}
	atCreation := plain("auth0|1")
	atCreation.ID, atCreation.Time = derived("", "auth0|1", created), date(created)
	atSend := plain("auth0|1")
	atSend.Time = date(sent)
	test := plain("auth0|1")
	test.Test = true
	longID, longSource := strings.Repeat("i", 128), strings.Repeat("s", 2048)
	runAll(t, map[string]accepted{
		"all of it": {
			decoder: registration.Decoder{Profile: true, Tenant: "by-setting"},
			body: `{"id":"evt_1","source":"urn:auth0:acme.us.auth0.com","specversion":"1.0","type":"user.created","time":"` + sent + `",
				"data":{"object":{"user_id":"auth0|1", "created_at":"` + created + `"},"context":{"tenant":{"id":"t"}}},
				"a0tenant":"acme","a0stream":"est_1","a0purpose":"test"}`, want: full,
		},
		"spec_version and a longer type": {body: `{"spec_version":"1.0","type":"com.auth0.user.created","data":{"object":{"user_id":"auth0|1"}}}`, want: plain("auth0|1")},
		"both spellings":                 {body: `{"spec_version":"1.0","specversion":"1.0","type":"user.created","data":{"object":{"user_id":"auth0|1"}}}`, want: plain("auth0|1")},
		"a version that is a number":     {body: `{"specversion":1,"type":"user.created","data":{"object":{"user_id":"auth0|1"}}}`, want: plain("auth0|1")},
		"before userId and user_id":      {body: envelope(`"userId":1,"user_id":2,"eventId":3,"user":4,"tenant":5,`), want: plain("auth0|1")},
		"unknown members":                {body: envelope(`"dataschema":"x","datacontenttype":7,"a0stream":{},"a0stream":1,`), want: plain("auth0|1")},
		"null is absent":                 {body: envelope(`"id":null,"source":null,"time":null,"a0tenant":null,"a0purpose":null,`), want: plain("auth0|1")},
		"Idempotency-Key is not its":     {key: "k-1", body: envelope(`"id":"evt_1",`), want: chosen("auth0|1", "evt_1")},
		"a bad Idempotency-Key too":      {key: "ż", body: envelope(``), want: plain("auth0|1")},
		"id: empty":                      {body: envelope(`"id":"",`), want: plain("auth0|1")},
		"id: longest":                    {body: envelope(`"id":"` + longID + `",`), want: chosen("auth0|1", longID)},
		"id: too long":                   {body: envelope(`"id":"` + longID + `i",`), want: chosen("auth0|1", replaced(longID+"i"))},
		"id: white space":                {body: envelope(`"id":"evt 1",`), want: chosen("auth0|1", replaced("evt 1"))},
		"id: not ASCII":                  {body: envelope(`"id":"zdarzenie-ż",`), want: chosen("auth0|1", replaced("zdarzenie-ż"))},
		"id: control character":          {body: envelope(`"id":"a\u0000b",`), want: chosen("auth0|1", replaced("a\x00b"))},
		"source: longest":                {body: envelope(`"source":"` + longSource + `",`), want: ofSource(longSource, "")},
		"source: too long":               {body: envelope(`"source":"` + longSource + `s",`), want: plain("auth0|1")},
		"source: empty":                  {body: envelope(`"source":"","a0tenant":"acme",`), want: ofSource("urn:auth0:acme", "acme")},
		"source: not ASCII":              {body: envelope(`"source":"urn:ż","a0tenant":"acme",`), want: ofSource("urn:auth0:acme", "acme")},
		"source: white space":            {body: envelope(`"source":"urn: x",`), want: plain("auth0|1")},
		"source: own before tenant":      {body: envelope(`"source":"urn:x","a0tenant":"acme",`), want: ofSource("urn:x", "acme")},
		"source: by the setting":         {decoder: registration.Decoder{Tenant: "by-setting"}, body: envelope(``), want: ofSource("urn:auth0:by-setting", "by-setting")},
		"tenant: not a name":             {decoder: registration.Decoder{Tenant: "by-setting"}, body: envelope(`"a0tenant":"a b",`), want: ofSource("urn:auth0:by-setting", "by-setting")},
		"tenant: own before the setting": {decoder: registration.Decoder{Tenant: "by-setting"}, body: envelope(`"a0tenant":"acme",`), want: ofSource("urn:auth0:acme", "acme")},
		"time: own":                      {body: envelope(`"time":"` + sent + `",`), want: atSend},
		"time: not one, created_at":      {body: `{"specversion":"1.0","type":"user.created","time":"now","data":{"object":{"user_id":"auth0|1","created_at":"` + created + `"}}}`, want: atCreation},
		"time: none at all":              {body: envelope(`"time":"",`), want: plain("auth0|1")},
		"created_at: no string":          {body: `{"specversion":"1.0","type":"user.created","data":{"object":{"user_id":"auth0|1","created_at":7}}}`, want: plain("auth0|1")},
		"created_at: twice":              {body: `{"specversion":"1.0","type":"user.created","data":{"object":{"user_id":"auth0|1","created_at":"` + created + `","created_at":"` + created + `"}}}`, want: plain("auth0|1")},
		"purpose: test":                  {body: envelope(`"a0purpose":"test",`), want: test},
		"purpose: another":               {body: envelope(`"a0purpose":"Test",`), want: plain("auth0|1")},
		"no profile wanted":              {body: `{"specversion":"1.0","type":"user.created","data":{"object":{"user_id":"auth0|1","email":"x"}}}`, want: plain("auth0|1")},
		"duplicates in the profile":      {body: `{"specversion":"1.0","type":"user.created","data":{"object":{"user_id":"auth0|1","a":1,"a":2}}}`, want: plain("auth0|1")},
		"other data, twice":              {body: `{"specversion":"1.0","type":"user.created","data":{"context":1,"context":2,"object":{"user_id":"auth0|1"}}}`, want: plain("auth0|1")},
	})
}

func TestDecodeIgnoresOtherTypes(t *testing.T) {
	t.Parallel()
	body := func(typ string) string { return `{"specversion":"1.0","id":"evt_1","type":"` + typ + `"}` }
	long := strings.Repeat("ż", 200)
	for name, c := range map[string]struct {
		body string
		want registration.IgnoredError
	}{
		"user.updated":              {body("user.updated"), registration.IgnoredError{ID: "evt_1", Type: "user.updated"}},
		"organization.member.added": {body("organization.member.added"), registration.IgnoredError{ID: "evt_1", Type: "organization.member.added"}},
		"no dot before":             {body("xuser.created"), registration.IgnoredError{ID: "evt_1", Type: "xuser.created"}},
		"case matters":              {body("user.Created"), registration.IgnoredError{ID: "evt_1", Type: "user.Created"}},
		"more after":                {body("user.created.v2"), registration.IgnoredError{ID: "evt_1", Type: "user.created.v2"}},
		"empty":                     {body(""), registration.IgnoredError{ID: "evt_1", Type: ""}},
		"spec_version":              {`{"spec_version":"1.0","id":"evt_1","type":"com.auth0.user.deleted"}`, registration.IgnoredError{ID: "evt_1", Type: "com.auth0.user.deleted"}},
		"longer than 256 bytes":     {body("x" + long), registration.IgnoredError{ID: "evt_1", Type: "x" + long[:254]}},
		"256 bytes":                 {body(long[:256]), registration.IgnoredError{ID: "evt_1", Type: long[:256]}},
		"data of any kind":          {`{"specversion":"1.0","id":"evt_1","type":"group.created","data":7}`, registration.IgnoredError{ID: "evt_1", Type: "group.created"}},
		"id outside the rule":       {`{"specversion":"1.0","id":"a b","type":"group.created"}`, registration.IgnoredError{ID: replaced("a b"), Type: "group.created"}},
		"no id":                     {`{"specversion":"1.0","type":"group.created"}`, registration.IgnoredError{ID: replaced(`{"specversion":"1.0","type":"group.created"}`), Type: "group.created"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := registration.Decoder{}.Decode([]byte(c.body), "", received())
			got, ok := errors.AsType[*registration.IgnoredError](err)
			if !ok {
				t.Fatalf("event %+v, error %v, want an *IgnoredError", e, err)
			}
			if diff := cmp.Diff(c.want, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
