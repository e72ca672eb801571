package contract_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/test/must"
)

var update = flag.Bool("update", false, "write the tables of docs/forms.md anew") //nolint:gochecknoglobals // as flags of tests are

// tried is a possible request.
type tried struct {
	what, body string
	headers    []string // "Name: value"
	full       bool     // RECORD_PROFILE=full
	short      string   // shown in the table instead of a body that is too long
}

// in returns s as a JSON string.
func in(s string) string {
	b, _ := jsontext.AppendQuote(nil, s) // the tests' own texts are UTF-8
	return string(b)
}

const (
	plainID   = `{"userId":"auth0|1"}`
	eventUser = `{"user_id":"auth0|1","created_at":"2026-11-21T19:00:00.123Z"}`
)

func stream(more, object string) string {
	return `{"specversion":"1.0","type":"user.created",` + more + `"data":{"object":` + object + `}}`
}

func envelopes(t *testing.T) []tried {
	t.Helper()
	all := []tried{
		{what: "the id alone", body: plainID},
		{what: "all that is known", body: `{"userId":"auth0|1","eventId":"e-1","tenant":"acme","user":{"name":"Zofia"}}`, full: true},
		{what: "members that are not known", body: `{"x":[{}],"userId":"auth0|1","USERID":2}`},
		{what: "`null` for what is not there", body: `{"userId":"auth0|1","eventId":null,"user":null,"tenant":null}`},
		{what: "`event.user` as it is", body: eventUser},
		{what: "`event.user`, kept", body: eventUser, full: true},
		{what: "`event.user` in a text, to a Kafka REST service", body: `{"value":` + in(eventUser) + `}`},
		{what: "the same, kept", body: `{"value":` + in(eventUser) + `}`, full: true},
		{what: "`event.user` itself, to a Kafka REST service", body: `{"value":` + eventUser + `}`},
		{what: "with the members that such a client may add", body: `{"key":"k","partition":0,"headers":[],"value":{"user_id":"auth0|1"}}`},
		{what: "an Event Stream", body: stream(`"id":"evt_1","source":"urn:auth0:acme.eu.auth0.com","a0tenant":"acme",`, eventUser)},
		{what: "an Event Stream, older", body: `{"spec_version":"1.0","type":"com.auth0.user.created","id":"evt_1","data":{"object":{"user_id":"auth0|1"}}}`},
		{what: "its test event", body: stream(`"id":"evt_1","a0purpose":"test",`, `{"user_id":"auth0|1"}`)},
		{what: "its other types", body: `{"specversion":"1.0","type":"user.updated","id":"evt_1"}`},
		{what: "the whole `event`", body: `{"user":{"user_id":"auth0|1"},"tenant":{"id":"acme"}}`},
		{what: "axios, `params` for a body", body: `{"params":{"email":"jane@example.com"}}`},
		{what: "nothing", body: ``},
		{what: "an empty object", body: `{}`},
		{what: "an array", body: `[{"userId":"auth0|1"}]`},
		{what: "a form", body: `userId=auth0|1`},
		{what: "two objects", body: plainID + plainID},
		{what: "the id twice", body: `{"userId":"auth0|1","userId":"auth0|2"}`},
		{what: "a value that is no JSON", body: `{"value":"auth0|1"}`},
		{what: "a value without a user", body: `{"value":"{\"email\":\"jane@example.com\"}"}`},
	}
	for _, file := range must.Get[[]string](t)(filepath.Glob(filepath.Join("..", "auth0", "callers", "*.http"))) {
		name := filepath.Base(file)
		head, body, _ := strings.Cut(read(t, "test/auth0/callers/"+name), "\n\n")
		_, headers, _ := strings.Cut(head, "\n")
		all = append(all, tried{
			what: "an article's Action, byte for byte: `" + name + "`", body: strings.TrimSuffix(body, "\n"), headers: strings.Split(headers, "\n"),
		})
	}
	return all
}

func userIDs() []tried {
	var all []tried
	for _, c := range []struct{ what, id string }{
		{"of a database", "auth0|61de2511fd334200aa221dff"},
		{"of a social connection", "google-oauth2|103547991597142817347"},
		{"an e-mail address", "adfs|john@fabrikam.com"},
		{"several bars", "samlp|conn|user@domain.example"},
		{"of a Windows domain", `waad|conn|DOMAIN\jane doe`},
		{"characters of every kind", "auth0|ext:42;=&<b>£$%^&*()+}{:;|P9"},
		{"no ASCII", "auth0|Zażółć-山田太郎-🎉"},
		{"a line feed", "samlp|conn|a\nb"},
		{"a space", "samlp|conn|a b"},
		{"a no-break space", "samlp|conn|a\u00a0b"},
		{"a space at its end", "auth0|1 "},
		{"text turned around", "auth0|\u202e1"},
		{"a character of no width", "auth0|1\u200b"},
		{"a zero byte", "auth0|\x00"},
		{"an escape sequence for terminals", "auth0|\x1b[31m1"},
		{"blank", " \n\u00a0"},
		{"empty", ""},
	} {
		all = append(all, tried{what: c.what, body: `{"userId":` + in(c.id) + `}`})
	}
	return append(all,
		tried{what: "1,024 bytes", body: `{"userId":"` + strings.Repeat("u", 1024) + `"}`, short: `{"userId":"uuu…"}`},
		tried{what: "1,025 bytes", body: `{"userId":"` + strings.Repeat("u", 1025) + `"}`, short: `{"userId":"uuu…"}`},
		tried{what: "a number", body: `{"userId":7}`},
		tried{what: "a lone surrogate", body: `{"userId":"auth0|\ud800"}`},
		tried{what: "escaped", body: `{"user\u0049d":"auth0\u007c\u0031"}`},
	)
}

func encodings() []tried {
	return []tried{
		{what: "a byte order mark", body: "\ufeff" + plainID},
		{what: "two byte order marks", body: "\ufeff\ufeff" + plainID},
		{what: "white space around", body: "\r\n\t " + plainID + "\n"},
		{what: "no UTF-8", body: "{\"userId\":\"auth0|\xff\"}"},
		{what: "Latin-1", body: "{\"userId\":\"auth0|\xe9\"}"},
		{what: "UTF-16", body: "\xff\xfe{\x00"},
		{what: "broken off", body: `{"userId":"auth0|1`},
		{what: "`text/plain`", body: plainID, headers: []string{"Content-Type: text/plain;charset=UTF-8"}},
		{what: "a form's type", body: plainID, headers: []string{"Content-Type: application/x-www-form-urlencoded"}},
		{what: "no type", body: plainID, headers: []string{"Content-Type: "}},
		{what: "a CloudEvent's type", body: plainID, headers: []string{"Content-Type: application/cloudevents+json"}},
		{what: "XML's type", body: plainID, headers: []string{"Content-Type: application/xml"}},
		{what: "a form with parts", body: plainID, headers: []string{"Content-Type: multipart/form-data; boundary=x"}},
		{what: "packed", body: plainID, headers: []string{"Content-Encoding: gzip"}},
		{what: "user and password", body: plainID, headers: []string{"Authorization: Basic dXNlcjpzZWNyZXQ="}},
	}
}

func details() []tried {
	return []tried{
		{what: "an Idempotency-Key", body: plainID, headers: []string{"Idempotency-Key: k-1"}},
		{what: "an Idempotency-Key with a space", body: plainID, headers: []string{"Idempotency-Key: k 1"}},
		{what: "an eventId of 129 characters", body: `{"userId":"auth0|1","eventId":"` + strings.Repeat("e", 129) + `"}`, short: `{"userId":"auth0|1","eventId":"eee…"}`},
		{what: "an eventId that is a number", body: `{"userId":"auth0|1","eventId":7}`},
		{what: "a tenant", body: `{"userId":"auth0|1","tenant":"acme"}`},
		{what: "Auth0's example of a tenant", body: `{"userId":"auth0|1","tenant":"{{TENANT}}"}`},
		{what: "`event.tenant`", body: `{"userId":"auth0|1","tenant":{"id":"acme"}}`},
		{what: "created_at", body: `{"userId":"auth0|1","user":{"created_at":"2026-11-21T19:00:00.123Z"}}`},
		{what: "created_at with an offset of zero", body: `{"userId":"auth0|1","user":{"created_at":"2026-11-21T19:00:00.123+00:00"}}`},
		{what: "created_at of another zone, with microseconds", body: `{"userId":"auth0|1","user":{"created_at":"2026-11-21T20:00:00.123456+01:00"}}`},
		{what: "created_at that is no time", body: `{"userId":"auth0|1","user":{"created_at":"yesterday"}}`},
		{what: "a CloudEvent's id with a space", body: stream(`"id":"evt 1",`, `{"user_id":"auth0|1"}`)},
		{what: "a CloudEvent's id that is a number", body: stream(`"id":7,`, `{"user_id":"auth0|1"}`)},
		{what: "a CloudEvent without tenant", body: stream(`"id":"evt_1","source":"urn:auth0:acme.eu.auth0.com",`, eventUser)},
		{what: "a CloudEvent without created_at", body: stream(`"id":"evt_1","a0tenant":"acme",`, `{"user_id":"auth0|1"}`)},
		{what: "a CloudEvent whose tenant, time and source are wrong", body: stream(`"id":"evt_1","a0tenant":"a b","time":4,"source":"é",`, `{"user_id":"auth0|1"}`)},
		{what: "a CloudEvent without a user", body: `{"specversion":"1.0","type":"user.created","id":"evt_1"}`},
		{what: "a profile that is an array", body: `{"userId":"auth0|1","user":[]}`},
		{what: "a profile with duplicates", body: `{"userId":"auth0|1","user":{"a":1,"a":2}}`, full: true},
		{what: "a profile with a lone surrogate", body: `{"userId":"auth0|1","user":{"a":"\ud800"}}`, full: true},
		{what: "a profile that no record holds", body: `{"userId":"auth0|1","user":{"a":"` + strings.Repeat("a", registration.MaxRecord) + `"}}`, full: true, short: `{"userId":"auth0|1","user":{"a":"aaa…"}}`},
		{what: "16 MiB", body: `{"user":{"a":"` + strings.Repeat("a", functions.MaxBody-36) + `"},"userId":"auth0|1"}`, full: true, short: `{"user":{"a":"aaa…"},"userId":"auth0|1"}`},
		{what: "one byte more", body: `{"user":{"a":"` + strings.Repeat("a", functions.MaxBody-35) + `"},"userId":"auth0|1"}`, short: `{"user":{"a":"aaaa…"},"userId":"auth0|1"}`},
	}
}

// outcome returns the result of a request for the table.
func (c tried) outcome(t *testing.T) string {
	t.Helper()
	record, w := posted(t, registration.Decoder{Profile: c.full}, []byte(c.body), c.headers...)
	var answer struct {
		EventID, Detail, Ignored string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	becomes := answer.Detail
	switch {
	case answer.Ignored != "":
		becomes = "forwarded nowhere"
	case w.Code == http.StatusOK:
		headers := map[string]string{}
		for _, h := range record.Headers {
			headers[h.Key] = h.Value
		}
		parts := []string{code(short(headers["ce_id"])), code(headers["ce_source"]), code(short(registration.Shown(string(record.Key))))}
		for _, name := range []string{"ce_auth0eventid", "ce_a0purpose", "ce_profileomitted"} {
			if v := headers[name]; v != "" {
				parts = append(parts, code(name+": "+v))
			}
		}
		if _, profile, ok := strings.Cut(string(record.Value), `,"user":`); ok {
			parts = append(parts, "with "+code(short(strings.TrimSuffix(profile, "}"))))
		}
		becomes = strings.Join(parts, ", ")
	}
	sent := c.body
	if c.short != "" {
		sent = c.short
	}
	return fmt.Sprintf("| %s | %s | %d | %s |\n", c.what, code(visible(sent)), w.Code, cell(becomes))
}

// visible escapes invisible characters, and bytes that are not UTF-8.
func visible(s string) string {
	quoted := strconv.Quote(s)
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(quoted[1 : len(quoted)-1])
}

// short cuts texts that are too long for the table.
func short(s string) string {
	if len(s) > 70 {
		return s[:20] + "…"
	}
	return s
}

// code formats a text as code in a table.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`` " + cell(s) + " ``"
}

func cell(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, `\|`, "|"), "|", `\|`) }

// TestForms sends all requests, and compares the results with docs/forms.md.
func TestForms(t *testing.T) {
	t.Parallel()
	page, rows := read(t, "docs/forms.md"), 0
	want := page
	for name, table := range map[string][]tried{"envelopes": envelopes(t), "ids": userIDs(), "encodings": encodings(), "details": details()} {
		var b strings.Builder
		b.WriteString("| what | body | answer | becomes |\n| --- | --- | --- | --- |\n")
		for _, c := range table {
			b.WriteString(c.outcome(t))
			rows++
		}
		begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
		before, rest, ok := strings.Cut(want, begin)
		_, after, ended := strings.Cut(rest, end)
		if !ok || !ended {
			t.Fatalf("docs/forms.md has no place for %s", name)
		}
		want = before + begin + b.String() + end + after
	}
	if rows < 60 {
		t.Errorf("%d rows", rows)
	}
	if *update {
		if err := os.WriteFile(filepath.Join(moduleRoot, "docs", "forms.md"), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d := cmp.Diff(want, page); d != "" {
		t.Errorf("docs/forms.md is not what is answered; make it with -update (-answers +page):\n%s", d)
	}
}
