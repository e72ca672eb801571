package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// marker is in the values of refused requests. It must not appear anywhere.
const marker = "m4rk3r"

const maxBody = 16 << 20

// refused is a request that the handler refuses, and the answer.
type refused struct {
	name    string
	headers []string
	body    string
	status  int
	kind    string
	detail  string // part of it: the member, and of the rule
}

func refusals() []refused {
	const good = `{"userId":"auth0|` + marker + `"}`
	cases := []refused{
		{"larger than the limit", nil, good + strings.Repeat(" ", maxBody), http.StatusRequestEntityTooLarge, "too-large", "16 MiB"},
		{"form data", []string{"Content-Type: multipart/form-data; boundary=x"}, good, http.StatusUnsupportedMediaType, "unsupported-media-type", "Content-Type"},
		{"XML", []string{"Content-Type: application/xml"}, good, http.StatusUnsupportedMediaType, "unsupported-media-type", "Content-Type"},
		{"unsound media type", []string{"Content-Type: /" + marker}, good, http.StatusUnsupportedMediaType, "unsupported-media-type", "Content-Type"},
		{"packed", []string{"Content-Encoding: gzip"}, good, http.StatusUnsupportedMediaType, "unsupported-media-type", "Content-Encoding"},
	}
	invalid := func(name, body, detail string, headers ...string) {
		cases = append(cases, refused{name, headers, body, http.StatusBadRequest, "invalid-registration", detail})
	}
	invalid("nothing", "", "body: ")
	invalid("no JSON", marker, "body: ")
	invalid("no object", `["`+marker+`"]`, "body: ")
	invalid("broken off", `{"userId":"`+marker, "body: ")
	invalid("something behind it", good+good, "body: ")
	invalid("no UTF-8", "{\"userId\":\""+marker+"\xff\"}", "body: must be UTF-8")
	invalid("byte order mark twice", "\ufeff\ufeff"+good, "body: ")
	invalid("no user id", `{"user":"`+marker+`"}`, "userId: is missing")
	invalid("user id null", `{"userId":null,"x":"`+marker+`"}`, "userId: is missing")
	invalid("user id empty", `{"userId":"","x":"`+marker+`"}`, "userId: must be")
	invalid("user id a number", `{"userId":1,"x":"`+marker+`"}`, "userId: must be a string")
	invalid("user id blank", `{"userId":" \n\u00a0","x":"`+marker+`"}`, "userId: must be")
	invalid("user id with a lone surrogate", `{"userId":"\ud800`+marker+`"}`, "userId: must be")
	invalid("user id too long", `{"userId":"`+marker+strings.Repeat("u", 1024)+`"}`, "userId: must be")
	invalid("user id twice", `{"userId":"`+marker+`","userId":"`+marker+`"}`, "userId: must stand there once")
	invalid("event id with a space", `{"userId":"a","eventId":"`+marker+` 1"}`, "eventId: must be")
	invalid("event id empty", `{"userId":"a`+marker+`","eventId":""}`, "eventId: must be")
	invalid("event id a number", `{"userId":"a`+marker+`","eventId":1}`, "eventId: must be")
	invalid("event id too long", `{"userId":"a","eventId":"`+marker+strings.Repeat("e", 128)+`"}`, "eventId: must be")
	invalid("event id twice", `{"userId":"a","eventId":"`+marker+`","eventId":"`+marker+`"}`, "eventId: must stand there once")
	invalid("value without JSON", `{"value":"`+marker+`"}`, "value: must be")
	invalid("value without a user id", `{"value":"{\"x\":\"`+marker+`\"}"}`, "value.user_id: is missing")
	invalid("user id deep in a large body", `{"user":{"x":"`+strings.Repeat("x", 5<<20)+`"},"x":"`+marker+`"}`, "userId: is missing")
	invalid("profile no object", `{"userId":"a","user":"`+marker+`"}`, "user: must be a JSON object")
	invalid("bare profile's user id a number", `{"user_id":1,"x":"`+marker+`"}`, "user_id: must be")
	invalid("CloudEvent without data", `{"specversion":"1.0","type":"user.created","id":"`+marker+`"}`, "data: must be")
	invalid("CloudEvent without a user", `{"specversion":"1.0","type":"user.created","data":{"object":{"x":"`+marker+`"}}}`, "data.object.user_id: is missing")
	invalid("CloudEvent's type twice", `{"specversion":"1.0","type":"user.created","type":"`+marker+`"}`, "type: must stand there once")
	invalid("Idempotency-Key with a space", good, "Idempotency-Key: must be", "Idempotency-Key: "+marker+" 1")
	invalid("Idempotency-Key too long", good, "Idempotency-Key: must be", "Idempotency-Key: "+marker+strings.Repeat("k", 128))
	return cases
}

// TestRefusals checks which requests are refused, with which texts, and that these repeat nothing of the request.
func TestRefusals(t *testing.T) { //nolint:tparallel // afterwards nothing must have been stored or told
	t.Parallel()
	kafka := startBroker(t)
	telemetry := startTelemetry(t)
	h := startHandler(t, kafka.setting(), telemetry.setting(), "AZURE_FUNCTIONS_ENVIRONMENT=Development", "LOG_LEVEL=debug")
	for _, c := range refusals() {
		t.Run(c.name, func(t *testing.T) {
			r := h.register(t, c.body, c.headers...)
			p := r.problem(t, c.status, c.kind, false, false)
			if !strings.Contains(p.Detail, c.detail) {
				t.Errorf("got detail %q, want one with %q", p.Detail, c.detail)
			}
			if strings.Contains(r.body, marker) {
				t.Errorf("the answer repeats what was sent: %q", r.body)
			}
		})
	}
	if records := kafka.records(t); len(records) > 0 {
		t.Errorf("got %d records, want none", len(records))
	}
	h.interrupt(t) // sends the telemetry that waits
	_, items := telemetry.find(t, "text", marker)
	for place, text := range map[string]string{"stdout": h.stdout.String(), "stderr": h.stderr.String(), "telemetry": items} {
		if strings.Contains(text, marker) {
			t.Errorf("%s repeats what was sent: %q", place, text)
		}
	}
}

// TestLimits has requests that are just small enough.
func TestLimits(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	const good = `{"userId":"a"}`
	full := good + strings.Repeat(" ", maxBody-len(good))
	h.register(t, full).stored(t)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"as large as allowed": {full, http.StatusOK},
		"a byte larger":       {full + " ", http.StatusRequestEntityTooLarge},
	} {
		var (
			r   reply
			err error
		)
		// If this machine needs more than ten seconds for the body, the answer says so; the next attempt may be
		// faster.
		for tries := 0; tries == 0 || r.status == http.StatusRequestTimeout && tries < 10; tries++ {
			r, err = h.try(t.Context(), http.MethodPost, "/api/RegisterUser", io.MultiReader(strings.NewReader(c.body)))
		}
		if err != nil || r.status != c.status {
			t.Errorf("in chunks, %s: got %d %q (%v), want %d", name, r.status, r.body, err, c.status)
		}
	}
	h.register(t, `{"userId":"a","eventId":"`+strings.Repeat("~", 128)+`"}`).stored(t)
}
