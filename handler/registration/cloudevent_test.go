package registration_test

import (
	"errors"
	"strings"
	"testing"

	"userrelay/handler/registration"
)

// envelope returns a CloudEvent of Auth0 Event Streams with the user auth0|1 and additional members.
func envelope(more string) string {
	return `{"specversion":"1.0","type":"user.created",` + more + `"data":{"object":{"user_id":"auth0|1"}}}`
}

// envelopeOf returns one whose user has a time of creation.
func envelopeOf(more, createdAt string) string {
	return `{"specversion":"1.0","type":"user.created",` + more + `"data":{"object":{"user_id":"auth0|1","created_at":"` + createdAt + `"}}}`
}

// created returns one with a user.
func created(object string) string {
	return `{"specversion":"1.0","type":"user.created","data":{"object":` + object + `}}`
}

func TestDecodeCloudEvent(t *testing.T) {
	t.Parallel()
	const (
		sent      = "2025-02-02T17:56:01.573Z"
		createdAt = "2025-02-02T17:56:01.566Z"
	)
	full := registration.Event{
		ID: derived("acme", "auth0|1", createdAt), Chosen: true, UserID: "auth0|1", Source: "urn:auth0:acme", Time: date(sent), Test: true,
		Auth0ID: "evt_1", Auth0Source: "urn:auth0:acme.us.auth0.com",
		Profile: []byte(`{"user_id":"auth0|1","created_at":"` + createdAt + `"}`),
	}
	own := func(source string) registration.Event { // where no tenant is known
		e := plain("auth0|1")
		e.Source, e.Auth0Source = source, source
		return e
	}
	ofTenant := func(tenant string) registration.Event {
		e := plain("auth0|1")
		e.ID, e.Source = derived(tenant, "auth0|1", ""), "urn:auth0:"+tenant
		return e
	}
	withID := func(id string) registration.Event {
		e := chosen("auth0|1", id)
		e.Auth0ID = id
		return e
	}
	besides := func(e registration.Event, change func(*registration.Event)) registration.Event {
		change(&e)
		return e
	}
	noTenant := func(e *registration.Event) { e.TenantLeftOut = true }
	atCreation := plain("auth0|1")
	atCreation.ID, atCreation.Time = derived("", "auth0|1", createdAt), date(createdAt)
	atSend := plain("auth0|1")
	atSend.Time = date(sent)
	test := plain("auth0|1")
	test.Test = true
	longID, longSource := strings.Repeat("i", 128), strings.Repeat("s", 2048)
	runAll(t, map[string]accepted{
		"all of it": {
			decoder: registration.Decoder{Profile: true, Tenant: "by-setting"},
			body: `{"id":"evt_1","source":"urn:auth0:acme.us.auth0.com","specversion":"1.0","type":"user.created","time":"` + sent + `",
				"data":{"object":{"user_id":"auth0|1", "created_at":"` + createdAt + `"},"context":{"tenant":{"id":"t"}}},
				"a0tenant":"acme","a0stream":"est_1","a0purpose":"test"}`, want: full,
		},
		"spec_version and a longer type":           {body: `{"spec_version":"1.0","type":"com.auth0.user.created","data":{"object":{"user_id":"auth0|1"}}}`, want: plain("auth0|1")},
		"a version that is a number":               {body: `{"specversion":1,"type":"user.created","data":{"object":{"user_id":"auth0|1"}}}`, want: plain("auth0|1")},
		"before userId and user_id":                {body: envelope(`"userId":1,"user_id":2,"eventId":3,"user":4,"tenant":5,`), want: plain("auth0|1")},
		"unknown members":                          {body: envelope(`"dataschema":"x","datacontenttype":7,"a0stream":{},"a0stream":1,`), want: plain("auth0|1")},
		"null is absent":                           {body: envelope(`"id":null,"source":null,"time":null,"a0tenant":null,"a0purpose":null,`), want: plain("auth0|1")},
		"Idempotency-Key is not its":               {key: "k-1", body: envelope(`"id":"evt_1",`), want: withID("evt_1")},
		"a bad Idempotency-Key too":                {key: "ż", body: envelope(``), want: plain("auth0|1")},
		"id: empty":                                {body: envelope(`"id":"",`), want: plain("auth0|1")},
		"id: longest":                              {body: envelope(`"id":"` + longID + `",`), want: withID(longID)},
		"id: too long":                             {body: envelope(`"id":"` + longID + `i",`), want: withID(replaced(longID + "i"))},
		"id: white space":                          {body: envelope(`"id":"evt 1",`), want: withID(replaced("evt 1"))},
		"source: too long":                         {body: envelope(`"source":"` + longSource + `s",`), want: plain("auth0|1")},
		"source: empty":                            {body: envelope(`"source":"","a0tenant":"acme",`), want: ofTenant("acme")},
		"source: not ASCII":                        {body: envelope(`"source":"urn:ż","a0tenant":"acme",`), want: ofTenant("acme")},
		"source: white space":                      {body: envelope(`"source":"urn: x",`), want: plain("auth0|1")},
		"source: tenant before own":                {body: envelope(`"source":"urn:x","a0tenant":"acme",`), want: besides(ofTenant("acme"), func(e *registration.Event) { e.Auth0Source = "urn:x" })},
		"source: own, where no tenant":             {body: envelope(`"source":"urn:x",`), want: own("urn:x")},
		"source: setting before own":               {decoder: registration.Decoder{Tenant: "by-setting"}, body: envelope(`"source":"urn:x",`), want: besides(ofTenant("by-setting"), func(e *registration.Event) { e.Auth0Source = "urn:x" })},
		"source: no string":                        {body: envelope(`"source":3,`), want: plain("auth0|1")},
		"id: a number":                             {body: envelope(`"id":7,`), want: plain("auth0|1")},
		"id: an object":                            {body: envelope(`"id":{"a":"x"},`), want: plain("auth0|1")},
		"id: lone surrogate":                       {body: envelope(`"id":"a\ud800",`), want: withID(replaced("a�"))},
		"id: very long":                            {body: envelope(`"id":"` + strings.Repeat("i", 100_000) + `",`), want: withID(replaced(strings.Repeat("i", 2049)))},
		"time: a number":                           {body: envelope(`"time":4,`), want: plain("auth0|1")},
		"tenant: a number":                         {body: envelope(`"a0tenant":5,`), want: besides(plain("auth0|1"), noTenant)},
		"tenant: twice":                            {body: envelope(`"a0tenant":"a","a0tenant":"a",`), want: besides(plain("auth0|1"), noTenant)},
		"tenant and time, but no id":               {body: envelopeOf(`"a0tenant":"acme",`, createdAt), want: besides(ofTenant("acme"), func(e *registration.Event) { e.ID, e.Time = derived("acme", "auth0|1", createdAt), date(createdAt) })},
		"id, but no tenant":                        {body: envelopeOf(`"id":"evt_1",`, createdAt), want: besides(withID("evt_1"), func(e *registration.Event) { e.Time = date(createdAt) })},
		"id and tenant, but no time":               {body: envelope(`"id":"evt_1","a0tenant":"acme",`), want: besides(withID("evt_1"), func(e *registration.Event) { e.Source = "urn:auth0:acme" })},
		"id and tenant, but created_at is no time": {body: envelopeOf(`"id":"evt_1","a0tenant":"acme",`, "yesterday"), want: besides(withID("evt_1"), func(e *registration.Event) { e.Source = "urn:auth0:acme" })},
		"id, time, the setting's tenant": {decoder: registration.Decoder{Tenant: "by-setting"}, body: envelopeOf(`"id":"evt_1",`, createdAt), want: besides(withID("evt_1"), func(e *registration.Event) {
			e.ID, e.Source, e.Time = derived("by-setting", "auth0|1", createdAt), "urn:auth0:by-setting", date(createdAt)
		})},
		"source: by the setting":         {decoder: registration.Decoder{Tenant: "by-setting"}, body: envelope(``), want: ofTenant("by-setting")},
		"tenant: not a name":             {decoder: registration.Decoder{Tenant: "by-setting"}, body: envelope(`"a0tenant":"{{TENANT}}",`), want: besides(ofTenant("by-setting"), noTenant)},
		"tenant: own before the setting": {decoder: registration.Decoder{Tenant: "by-setting"}, body: envelope(`"a0tenant":"acme",`), want: ofTenant("acme")},
		"time: own":                      {body: envelope(`"time":"` + sent + `",`), want: atSend},
		"time: not one, created_at":      {body: `{"specversion":"1.0","type":"user.created","time":"now","data":{"object":{"user_id":"auth0|1","created_at":"` + createdAt + `"}}}`, want: atCreation},
		"created_at: twice":              {body: `{"specversion":"1.0","type":"user.created","data":{"object":{"user_id":"auth0|1","created_at":"` + createdAt + `","created_at":"` + createdAt + `"}}}`, want: plain("auth0|1")},
		"purpose: test":                  {body: envelope(`"a0purpose":"test",`), want: test},
		"purpose: another":               {body: envelope(`"a0purpose":"Test",`), want: plain("auth0|1")},
		"duplicates in the profile":      {body: created(`{"user_id":"auth0|1","a":1,"a":2}`), want: plain("auth0|1")},
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
		"id no string":              {`{"specversion":"1.0","id":{"a":"x"},"type":"group.created","source":"urn:x","time":"t"}`, registration.IgnoredError{ID: replaced("group.created\nurn:x\nt"), Type: "group.created"}},
		"no id":                     {`{"specversion":"1.0","type":"group.created"}`, registration.IgnoredError{ID: replaced("group.created\n\n"), Type: "group.created"}},
	} {
		e, err := registration.Decoder{}.Decode(text(c.body), "", received())
		if got, ok := errors.AsType[*registration.IgnoredError](err); !ok || *got != c.want || strings.Contains(err.Error(), "created") {
			t.Errorf("%s: event %+v, error %v, %+v, want %+v", name, e, err, got, c.want)
		}
	}
}
