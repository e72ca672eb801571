package registration_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// marker is in the values of the bad requests of these tests. No error may contain it.
const marker = "jane.doe@example.com"

const (
	idRule     = "must be 1 to 128 visible ASCII characters"
	userIDRule = "must be a string of 1 to 1024 bytes that is not blank"
	valueRule  = "must be Auth0's event.user, as a JSON object or as the text of one"
	objectRule = "must be a JSON object"
	onceRule   = "must stand there once"
	textRule   = "must be a string of Unicode text"
)

type refused struct {
	key, body    string
	member, rule string
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]refused{}
	for _, table := range []map[string]refused{badBodies(), badUserIDs(), badProfiles(), badCloudEvents(), badValues()} {
		maps.Copy(cases, table)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := registration.Decoder{Tenant: "acme", Profile: true}.Decode(text(c.body), c.key, received())
			got, ok := errors.AsType[*registration.InvalidError](err)
			if !ok {
				t.Fatalf("event %+v, error %v, want an *InvalidError", e, err)
			}
			if diff := cmp.Diff(registration.InvalidError{Member: c.member, Rule: c.rule}, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if text := err.Error(); text != c.member+": "+c.rule || strings.Contains(text, marker) {
				t.Errorf("error = %q", text)
			}
			if diff := cmp.Diff(registration.Event{}, e); diff != "" {
				t.Errorf("event beside the error:\n%s", diff)
			}
		})
	}
}

func badBodies() map[string]refused {
	const (
		missing = `is missing: send {"userId": "…"}, Auth0's event.user with its user_id, {"value": …} with that in it, or a CloudEvent with specversion and type`
		notJSON = "must be JSON"
		alone   = "must be one JSON object with nothing after it"
	)
	return map[string]refused{
		"empty":                           {body: ``, member: "body", rule: objectRule},
		"white space":                     {body: " \n\t", member: "body", rule: objectRule},
		"byte order mark alone":           {body: "\ufeff", member: "body", rule: objectRule},
		"byte order mark twice":           {body: "\ufeff\ufeff" + `{"userId":"auth0|1"}`, member: "body", rule: objectRule},
		"byte order mark inside":          {body: "{\ufeff" + `"userId":"auth0|1"}`, member: "body", rule: notJSON},
		"byte order mark cut short":       {body: "\xef\xbb", member: "body", rule: "must be UTF-8"},
		"not UTF-8":                       {body: "{\"userId\":\"" + marker + "\xff\"}", member: "body", rule: "must be UTF-8"},
		"not UTF-8, in what is not known": {body: "{\"userId\":\"auth0|1\",\"x\":\"\xc0\xaf\"}", member: "body", rule: "must be UTF-8"},
		"UTF-8 of a surrogate":            {body: "{\"userId\":\"auth0|\xed\xa0\x80\"}", member: "body", rule: "must be UTF-8"},
		"UTF-16":                          {body: "\xff\xfe{\x00}\x00", member: "body", rule: "must be UTF-8"},
		"no JSON":                         {body: marker, member: "body", rule: objectRule},
		"form":                            {body: `userId=` + marker, member: "body", rule: objectRule},
		"array":                           {body: `[{"userId":"` + marker + `"}]`, member: "body", rule: objectRule},
		"string":                          {body: `"` + marker + `"`, member: "body", rule: objectRule},
		"number":                          {body: `7`, member: "body", rule: objectRule},
		"null":                            {body: `null`, member: "body", rule: objectRule},
		"true":                            {body: `true`, member: "body", rule: objectRule},
		"cut short":                       {body: `{"userId":"` + marker, member: "body", rule: notJSON},
		"cut short after the value":       {body: `{"userId":"` + marker + `"`, member: "body", rule: notJSON},
		"cut short after the brace":       {body: `{`, member: "body", rule: notJSON},
		"single quotes":                   {body: `{'userId':'` + marker + `'}`, member: "body", rule: notJSON},
		"name without quotes":             {body: `{userId:"` + marker + `"}`, member: "body", rule: notJSON},
		"comma at the end":                {body: `{"userId":"` + marker + `",}`, member: "body", rule: notJSON},
		"comment":                         {body: `{/*` + marker + `*/"userId":"auth0|1"}`, member: "body", rule: notJSON},
		"no colon":                        {body: `{"userId" "` + marker + `"}`, member: "body", rule: notJSON},
		"NaN":                             {body: `{"userId":NaN}`, member: "body", rule: notJSON},
		"bad JSON in what is unknown":     {body: `{"userId":"auth0|1","x":01}`, member: "body", rule: notJSON},
		"bad escape":                      {body: `{"userId":"auth0|1","x":"\x"}`, member: "body", rule: notJSON},
		"control character":               {body: "{\"userId\":\"auth0|1\",\"x\":\"\n\"}", member: "body", rule: notJSON},
		"two objects":                     {body: `{"userId":"auth0|1"}{"userId":"` + marker + `"}`, member: "body", rule: alone},
		"lines of objects":                {body: "{\"userId\":\"auth0|1\"}\n{\"userId\":\"auth0|2\"}", member: "body", rule: alone},
		"text after":                      {body: `{"userId":"auth0|1"} ` + marker, member: "body", rule: alone},
		"brace after":                     {body: `{"userId":"auth0|1"}}`, member: "body", rule: alone},
		"zero byte after":                 {body: "{\"userId\":\"auth0|1\"}\x00", member: "body", rule: alone},
		"no member":                       {body: `{}`, member: "userId", rule: missing},
		"no known member":                 {body: `{"email":"` + marker + `"}`, member: "userId", rule: missing},
		"another case":                    {body: `{"USERID":"` + marker + `"}`, member: "userId", rule: missing},
		"axios params":                    {body: `{"params":{"email":"` + marker + `"}}`, member: "userId", rule: missing},
		"all null":                        {body: `{"userId":null,"user_id":null,"specversion":null,"type":null}`, member: "userId", rule: missing},
		"specversion alone":               {body: `{"specversion":"` + marker + `"}`, member: "userId", rule: missing},
		"the whole event":                 {body: `{"user":{"user_id":"` + marker + `"},"tenant":{"id":"acme"}}`, member: "userId", rule: missing},
	}
}

func badUserIDs() map[string]refused {
	long := strings.Repeat("k", 129)
	return map[string]refused{
		"userId: number":            {body: `{"userId":7}`, member: "userId", rule: userIDRule},
		"userId: true":              {body: `{"userId":true}`, member: "userId", rule: userIDRule},
		"userId: object":            {body: `{"userId":{"id":"` + marker + `"}}`, member: "userId", rule: userIDRule},
		"userId: array":             {body: `{"userId":["` + marker + `"]}`, member: "userId", rule: userIDRule},
		"userId: empty":             {body: `{"userId":""}`, member: "userId", rule: userIDRule},
		"userId: lone surrogate":    {body: `{"userId":"` + marker + `\ud800"}`, member: "userId", rule: userIDRule},
		"userId: pair turned":       {body: `{"userId":"` + marker + `\udf89\ud83c"}`, member: "userId", rule: userIDRule},
		"userId: twice":             {body: `{"userId":"` + marker + `","userId":"` + marker + `"}`, member: "userId", rule: onceRule},
		"userId: twice, escaped":    {body: `{"userId":"` + marker + `","\u0075serId":"` + marker + `"}`, member: "userId", rule: onceRule},
		"userId: twice, one null":   {body: `{"userId":"` + marker + `","userId":null}`, member: "userId", rule: onceRule},
		"userId: empty, user_id":    {body: `{"userId":"","user_id":"` + marker + `"}`, member: "userId", rule: userIDRule},
		"eventId: number":           {body: `{"userId":"auth0|1","eventId":7}`, member: "eventId", rule: idRule},
		"eventId: object":           {body: `{"userId":"auth0|1","eventId":{"a":"` + marker + `"}}`, member: "eventId", rule: idRule},
		"eventId: empty":            {body: `{"userId":"auth0|1","eventId":""}`, member: "eventId", rule: idRule},
		"eventId: 129 characters":   {body: `{"userId":"auth0|1","eventId":"` + long + `"}`, member: "eventId", rule: idRule},
		"eventId: white space":      {body: `{"userId":"auth0|1","eventId":"` + marker + ` "}`, member: "eventId", rule: idRule},
		"eventId: not ASCII":        {body: `{"userId":"auth0|1","eventId":"` + marker + `ż"}`, member: "eventId", rule: idRule},
		"eventId: DEL":              {body: `{"userId":"auth0|1","eventId":"` + marker + `\u007f"}`, member: "eventId", rule: idRule},
		"eventId: lone surrogate":   {body: `{"userId":"auth0|1","eventId":"` + marker + `\ud800"}`, member: "eventId", rule: idRule},
		"eventId: twice":            {body: `{"userId":"auth0|1","eventId":"` + marker + `","eventId":"` + marker + `"}`, member: "eventId", rule: onceRule},
		"eventId: bad beside a key": {key: "k-1", body: `{"userId":"auth0|1","eventId":"` + marker + ` "}`, member: "eventId", rule: idRule},
		"key: 129 characters":       {key: long, body: `{"userId":"auth0|1"}`, member: "Idempotency-Key", rule: idRule},
		"key: white space":          {key: marker + " x", body: `{"userId":"auth0|1"}`, member: "Idempotency-Key", rule: idRule},
		"key: not ASCII":            {key: marker + "ż", body: `{"userId":"auth0|1"}`, member: "Idempotency-Key", rule: idRule},
		"key: not UTF-8":            {key: marker + "\xff", body: `{"userId":"auth0|1"}`, member: "Idempotency-Key", rule: idRule},
		"key: bad beside eventId":   {key: " ", body: `{"userId":"auth0|1","eventId":"e-1"}`, member: "Idempotency-Key", rule: idRule},
		"user: string":              {body: `{"userId":"auth0|1","user":"` + marker + `"}`, member: "user", rule: objectRule},
		"user: array":               {body: `{"userId":"auth0|1","user":["` + marker + `"]}`, member: "user", rule: objectRule},
		"user: number":              {body: `{"userId":"auth0|1","user":7}`, member: "user", rule: objectRule},
		"user: twice":               {body: `{"userId":"auth0|1","user":{},"user":{"a":"` + marker + `"}}`, member: "user", rule: onceRule},
	}
}

func badProfiles() map[string]refused {
	return map[string]refused{
		"user_id: number":         {body: `{"user_id":7}`, member: "user_id", rule: userIDRule},
		"user_id: empty":          {body: `{"user_id":"","email":"` + marker + `"}`, member: "user_id", rule: userIDRule},
		"user_id: blank":          {body: `{"user_id":" \n\u00a0"}`, member: "user_id", rule: userIDRule},
		"user_id: lone surrogate": {body: `{"user_id":"` + marker + `\udfff"}`, member: "user_id", rule: userIDRule},
		"user_id: twice":          {body: `{"user_id":"` + marker + `","user_id":"` + marker + `"}`, member: "user_id", rule: onceRule},
		"user_id: bad key":        {key: marker + "ż", body: `{"user_id":"auth0|1"}`, member: "Idempotency-Key", rule: idRule},
	}
}

func badCloudEvents() map[string]refused {
	object := func(object string) string {
		return `{"specversion":"1.0","type":"user.created","data":{"object":` + object + `}}`
	}
	cases := map[string]refused{
		"specversion: twice":             {body: envelope(`"specversion":"1.0",`), member: "specversion", rule: onceRule},
		"spec_version: twice":            {body: envelope(`"spec_version":"1.0","spec_version":"1.0",`), member: "spec_version", rule: onceRule},
		"type: twice":                    {body: envelope(`"type":"` + marker + `",`), member: "type", rule: onceRule},
		"type: number":                   {body: `{"specversion":"1.0","type":7}`, member: "type", rule: textRule},
		"type: lone surrogate":           {body: `{"specversion":"1.0","type":"` + marker + `\ud800"}`, member: "type", rule: textRule},
		"data: none":                     {body: `{"specversion":"1.0","type":"user.created","source":"` + marker + `"}`, member: "data", rule: objectRule},
		"data: null":                     {body: `{"specversion":"1.0","type":"user.created","data":null}`, member: "data", rule: objectRule},
		"data: string":                   {body: `{"specversion":"1.0","type":"user.created","data":"` + marker + `"}`, member: "data", rule: objectRule},
		"data: twice":                    {body: envelope(`"data":{"object":{"user_id":"` + marker + `"}},`), member: "data", rule: onceRule},
		"data.object: none":              {body: `{"specversion":"1.0","type":"user.created","data":{"a":"` + marker + `"}}`, member: "data.object", rule: objectRule},
		"data.object: null":              {body: object(`null`), member: "data.object", rule: objectRule},
		"data.object: array":             {body: object(`["` + marker + `"]`), member: "data.object", rule: objectRule},
		"data.object: twice":             {body: object(`{"user_id":"` + marker + `"},"object":{}`), member: "data.object", rule: onceRule},
		"data.object.user_id: none":      {body: object(`{"email":"` + marker + `"}`), member: "data.object.user_id", rule: "is missing"},
		"data.object.user_id: null":      {body: object(`{"user_id":null}`), member: "data.object.user_id", rule: "is missing"},
		"data.object.user_id: number":    {body: object(`{"user_id":7}`), member: "data.object.user_id", rule: userIDRule},
		"data.object.user_id: blank":     {body: object(`{"user_id":"\t"}`), member: "data.object.user_id", rule: userIDRule},
		"data.object.user_id: surrogate": {body: object(`{"user_id":"` + marker + `\ud800"}`), member: "data.object.user_id", rule: userIDRule},
		"data.object.user_id: twice":     {body: object(`{"user_id":"` + marker + `","user_id":"` + marker + `"}`), member: "data.object.user_id", rule: onceRule},
		"userId is not enough":           {body: `{"specversion":"1.0","type":"user.created","userId":"` + marker + `"}`, member: "data", rule: objectRule},
		"all wrong: the first is told":   {body: `{"specversion":"1.0","type":1,"id":2,"source":3,"time":4,"a0tenant":5,"a0purpose":6}`, member: "type", rule: textRule},
	}
	return cases
}

func badValues() map[string]refused {
	refusal := func(value, member, rule string) refused {
		return refused{body: `{"value":` + value + `}`, member: member, rule: rule}
	}
	return map[string]refused{
		"value: number":             refusal(`7`, "value", valueRule),
		"value: array":              refusal(`[{"user_id":"`+marker+`"}]`, "value", valueRule),
		"value: empty":              refusal(`""`, "value", valueRule),
		"value: text":               refusal(`"`+marker+`"`, "value", valueRule),
		"value: text of a string":   refusal(`"\"`+marker+`\""`, "value", valueRule),
		"value: text of an array":   refusal(`"[{\"user_id\":\"`+marker+`\"}]"`, "value", valueRule),
		"value: cut short":          refusal(`"{\"user_id\":\"`+marker+`\""`, "value", valueRule),
		"value: more after it":      refusal(`"{\"user_id\":\"`+marker+`\"}{}"`, "value", valueRule),
		"value: lone surrogate":     refusal(`"{\"user_id\":\"`+marker+`\",\"a\":\"\ud800\"}"`, "value", valueRule),
		"value: text of text":       refusal(`"\"{\\\"user_id\\\":\\\"`+marker+`\\\"}\""`, "value", valueRule),
		"value: twice":              refusal(`{"user_id":"`+marker+`"},"value":"{}"`, "value", onceRule),
		"value: user_id missing":    refusal(`"{\"email\":\"`+marker+`\"}"`, "value.user_id", "is missing"),
		"value: object without id":  refusal(`{"email":"`+marker+`"}`, "value.user_id", "is missing"),
		"value: user_id a number":   refusal(`{"user_id":7}`, "value.user_id", userIDRule),
		"value: user_id blank":      refusal(`"{\"user_id\":\" \"}"`, "value.user_id", userIDRule),
		"value: user_id surrogate":  refusal(`"{\"user_id\":\"`+marker+`\\ud800\"}"`, "value.user_id", userIDRule),
		"value: user_id twice":      refusal(`"{\"user_id\":\"`+marker+`\",\"user_id\":\"a\"}"`, "value.user_id", onceRule),
		"value: bad key":            {key: marker + "ż", body: `{"value":"{\"user_id\":\"auth0|1\"}"}`, member: "Idempotency-Key", rule: idRule},
		"value: broken off":         {body: `{"value":"{\"user_id\":\"` + marker, member: "body", rule: "must be JSON"},
		"value: bad escape outside": {body: `{"value":"{\"user_id\":\"` + marker + `\"}\x"}`, member: "body", rule: "must be JSON"},
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

// inJSON is s as a JSON string.
func inJSON(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestUserIDRule(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{
		"a":                                   true,
		strings.Repeat("a", 1024):             true,
		strings.Repeat("a", 1025):             false,
		strings.Repeat("ż", 512):              true,
		strings.Repeat("ż", 512) + "a":        false,
		"auth0|ext:42;=&<b>£$%^&*()+}{:;|P9":  true,
		"samlp|conn|user+tag@domain.example":  true,
		"|":                                   true,
		`"quoted\`:                            true,
		"google-oauth2|103547991597142817347": true,
		"waad|山田-🎉_\u200b\u202e\u00ad\ufeff":     true, // formatting characters are neither white space nor control
		"auth0|" + string(unicode.MaxRune):       true,
		"auth0|" + string(unicode.MaxRune) + " ": true,
		"\u0020auth0|1":                          true,
		"\u00a0":                                 false,
		"":                                       false,
		" \t\r\n\v\f\u0085\u2028\u3000":          false,
		"\u0000":                                 true, // a control character is not white space
		"samlp|conn|line\nfeed":                  true,
		"waad|DOMAIN\\user name":                 true,
		"\ufeff":                                 true,
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
		for member, body := range forms(quote(t, id)) {
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
	var visible strings.Builder
	for r := '!'; r <= '~'; r++ {
		visible.WriteRune(r)
	}
	for _, id := range []string{"!", "~", visible.String(), strings.Repeat("x", 128)} {
		e, err := registration.Decoder{}.Decode(text(`{"userId":"auth0|1","eventId":`+quote(t, id)+`}`), "", received())
		if err != nil || e.ID != id || !e.Chosen {
			t.Errorf("eventId %q: id %q, chosen %t, error %v", id, e.ID, e.Chosen, err)
		}
		e, err = registration.Decoder{}.Decode(text(`{"userId":"auth0|1"}`), id, received())
		if err != nil || e.ID != id || !e.Chosen {
			t.Errorf("Idempotency-Key %q: id %q, chosen %t, error %v", id, e.ID, e.Chosen, err)
		}
	}
	for r := range rune(0x100) {
		if '!' <= r && r <= '~' {
			continue
		}
		if _, err := (registration.Decoder{}).Decode(text(`{"userId":"auth0|1","eventId":`+quote(t, "a"+string(r))+`}`), "", received()); err == nil {
			t.Errorf("eventId with %U is taken", r)
		}
		if _, err := (registration.Decoder{}).Decode(text(`{"userId":"auth0|1"}`), "a"+string(r), received()); err == nil {
			t.Errorf("Idempotency-Key with %U is taken", r)
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
