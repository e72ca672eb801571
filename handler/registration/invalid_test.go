package registration_test

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

const (
	idRule     = "must be 1 to 128 visible ASCII characters"
	userIDRule = "must be a string of 1 to 1024 bytes that is not blank"
	objectRule = "must be a JSON object"
	onceRule   = "must stand there once"
	textRule   = "must be a string of Unicode text"
)

// refused are the bodies that each error is for, by the whole error: it has nothing of a body. (TestUserIDRule and
// TestIDRule have all ids; FuzzScan has what is not JSON.)
func refused() map[string][]string {
	const known = `{"userId":"auth0|1"}`
	with := func(body string) string { return `{"userId":"auth0|1",` + body + `}` }
	event := func(more string) string { return `{"specversion":"1.0","type":"user.created"` + more + `}` }
	object := func(object string) string { return event(`,"data":{"object":` + object + `}`) }
	return map[string][]string{
		"body: " + objectRule: {
			"", " \n\t", "\ufeff", "\ufeff\ufeff" + known, "MARKER", "userId=MARKER", `[{"userId":"MARKER"}]`, `"MARKER"`, "7", "null", "true",
		},
		"body: must be UTF-8": {
			"\xef\xbb", "{\"userId\":\"MARKER\xff\"}", "{\"userId\":\"auth0|1\",\"x\":\"\xc0\xaf\"}", "{\"userId\":\"auth0|\xed\xa0\x80\"}", "\xff\xfe{\x00}\x00",
		},
		"body: must be JSON": {
			"{\ufeff" + known[1:], `{"userId":"MARKER`, `{"userId":"MARKER"`, `{`, `{'userId':'MARKER'}`, `{userId:"MARKER"}`, `{"userId":"MARKER",}`,
			`{/*MARKER*/"userId":"auth0|1"}`, `{"userId" "MARKER"}`, `{"userId":NaN}`, `{"value":"{\"user_id\":\"MARKER`, `{"value":"{\"user_id\":\"MARKER\"}\x"}`,
		},
		"body: must be one JSON object with nothing after it": {
			known + `{"userId":"MARKER"}`, known + "\n" + known, known + " MARKER", known + "}", known + "\x00",
		},
		`userId: is missing: send {"userId": "…"}, Auth0's event.user with its user_id, {"value": …} with that in it, or a CloudEvent with specversion and type`: {
			"{}", `{"email":"MARKER"}`, `{"USERID":"MARKER"}`, `{"params":{"email":"MARKER"}}`, `{"userId":null,"user_id":null,"specversion":null,"type":null}`,
			`{"specversion":"MARKER"}`, `{"user":{"user_id":"MARKER"},"tenant":{"id":"acme"}}`,
		},
		"userId: " + userIDRule: {
			`{"userId":7}`, `{"userId":true}`, `{"userId":{"id":"MARKER"}}`, `{"userId":["MARKER"]}`, `{"userId":"MARKER\ud800"}`,
			`{"userId":"MARKER\udf89\ud83c"}`, `{"userId":"","user_id":"MARKER"}`,
		},
		"userId: " + onceRule: {
			`{"userId":"MARKER","userId":"MARKER"}`, `{"userId":"MARKER","\u0075serId":"MARKER"}`, `{"userId":"MARKER","userId":null}`,
		},
		"eventId: " + idRule:     {with(`"eventId":7`), with(`"eventId":{"a":"MARKER"}`), with(`"eventId":""`), with(`"eventId":"MARKER "`), with(`"eventId":"MARKER\ud800"`)},
		"eventId: " + onceRule:   {with(`"eventId":"MARKER","eventId":"MARKER"`)},
		"user: " + objectRule:    {with(`"user":"MARKER"`), with(`"user":["MARKER"]`), with(`"user":7`)},
		"user: " + onceRule:      {with(`"user":{},"user":{"a":"MARKER"}`)},
		"user_id: " + userIDRule: {`{"user_id":7}`, `{"user_id":"MARKER\udfff"}`},
		"user_id: " + onceRule:   {`{"user_id":"MARKER","user_id":"MARKER"}`},

		"specversion: " + onceRule:           {event(`,"specversion":"1.0"`)},
		"spec_version: " + onceRule:          {event(`,"spec_version":"1.0","spec_version":"1.0"`)},
		"type: " + onceRule:                  {event(`,"type":"MARKER"`)},
		"type: " + textRule:                  {`{"specversion":"1.0","type":"MARKER\ud800"}`, `{"specversion":"1.0","type":1,"id":2,"source":3,"time":4,"a0tenant":5,"a0purpose":6}`},
		"data: " + objectRule:                {event(`,"source":"MARKER"`), event(`,"data":null`), event(`,"data":"MARKER"`), event(`,"userId":"MARKER"`)},
		"data: " + onceRule:                  {event(`,"data":{"object":{"user_id":"MARKER"}},"data":{}`)},
		"data.object: " + objectRule:         {event(`,"data":{"a":"MARKER"}`), object(`null`), object(`["MARKER"]`)},
		"data.object: " + onceRule:           {object(`{"user_id":"MARKER"},"object":{}`)},
		"data.object.user_id: is missing":    {object(`{"email":"MARKER"}`), object(`{"user_id":null}`)},
		"data.object.user_id: " + userIDRule: {object(`{"user_id":7}`), object(`{"user_id":"MARKER\ud800"}`)},
		"data.object.user_id: " + onceRule:   {object(`{"user_id":"MARKER","user_id":"MARKER"}`)},

		"value: must be Auth0's event.user, as a JSON object or as the text of one": {
			`{"value":7}`, `{"value":[{"user_id":"MARKER"}]}`, `{"value":""}`, `{"value":"MARKER"}`, `{"value":"\"MARKER\""}`,
			`{"value":"[{\"user_id\":\"MARKER\"}]"}`, `{"value":"{\"user_id\":\"MARKER\""}`, `{"value":"{\"user_id\":\"MARKER\"}{}"}`,
			`{"value":"{\"user_id\":\"MARKER\",\"a\":\"\ud800\"}"}`, `{"value":"\"{\\\"user_id\\\":\\\"MARKER\\\"}\""}`,
		},
		"value: " + onceRule:           {`{"value":{"user_id":"MARKER"},"value":"{}"}`},
		"value.user_id: is missing":    {`{"value":"{\"email\":\"MARKER\"}"}`, `{"value":{"email":"MARKER"}}`},
		"value.user_id: " + userIDRule: {`{"value":{"user_id":7}}`, `{"value":"{\"user_id\":\"MARKER\\ud800\"}"}`},
		"value.user_id: " + onceRule:   {`{"value":"{\"user_id\":\"MARKER\",\"user_id\":\"a\"}"}`},
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for want, bodies := range refused() {
		for _, body := range bodies {
			e, err := registration.Decoder{Tenant: "acme", Profile: true}.Decode(text(body), "", received())
			if got, ok := errors.AsType[*registration.InvalidError](err); !ok || err.Error() != want || got.Member+": "+got.Rule != want {
				t.Errorf("%.80q: error %v, want %s", body, err, want)
			}
			if diff := cmp.Diff(registration.Event{}, e); diff != "" {
				t.Errorf("%.80q: event beside the error:\n%s", body, diff)
			}
		}
	}
}

// inJSON is s as a JSON string.
func inJSON(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
