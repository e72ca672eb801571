package functions_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// The event of a body, with the id that the header gives, is delivered and answered.
func TestStored(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ key, body, event, told string }{
		{"", simple, "e-1 auth0|1", ""},
		{"k-1", simple, "k-1 auth0|1", ""},
		{"", `{"specversion":"1.0","type":"user.created","id":"evt_1","data":{"object":{"user_id":"auth0|2"}}}`, "evt_1 auth0|2", ""},
		{"", `{"userId":"auth0|1","eventId":"e-1","tenant":"no tenant!"}`, "e-1 auth0|1", "left-out:e-1"},
	} {
		p := serving(t, &parts{want: c.told})
		r := request(t, http.MethodPost, register, strings.NewReader(c.body))
		r.Header.Set("Idempotency-Key", c.key)
		if c.key == "" {
			r.Header.Del("Idempotency-Key")
		}
		id, _, _ := strings.Cut(c.event, " ")
		p.serve(r).want(t, http.StatusOK, storedJSON(id))
		if len(p.events) != 1 || p.events[0].ID+" "+p.events[0].UserID != c.event {
			t.Errorf("delivered %+v, want %s", p.events, c.event)
		}
	}
}

// Events of other types and invalid registrations are delivered nowhere.
func TestIgnored(t *testing.T) {
	t.Parallel()
	p := serving(t, &parts{})
	for _, kind := range []string{`user.created.x`, `<b>\"ż\"`} {
		body := `{"specversion":"1.0","type":"` + kind + `","id":"evt_1","data":{"object":{"user_id":"auth0|1"}}}`
		want := `{"ignored":"` + kind + `","eventId":"evt_1"}`
		p.serve(request(t, http.MethodPost, register, strings.NewReader(body))).want(t, http.StatusOK, want)
	}
	if len(p.events) > 0 {
		t.Errorf("delivered %+v", p.events)
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	p := serving(t, &parts{})
	for body, want := range map[string]string{
		``:                              "body: must be a JSON object.",
		`{"userId":"` + marker:          "body: must be JSON.",
		`{"userId":["` + marker + `"]}`: "userId: must be a string of 1 to 1024 bytes that is not blank.",
	} {
		got := p.serve(request(t, http.MethodPost, register, strings.NewReader(body)))
		if detail := got.wantProblem(t, http.StatusBadRequest, "invalid-registration"); detail != want {
			t.Errorf("body %s: detail %q, want %q", body, detail, want)
		}
	}
	r := post(t)
	r.Header.Set("Idempotency-Key", marker+" ż")
	got := p.serve(r)
	const want = `{"type":"urn:userrelay:problem:invalid-registration","title":"Bad Request","status":400,` +
		`"detail":"Idempotency-Key: must be 1 to 128 visible ASCII characters."}`
	if got.wantProblem(t, http.StatusBadRequest, "invalid-registration"); got.body != want {
		t.Errorf("answer %s, want %s", got.body, want)
	}
	if len(p.events) > 0 {
		t.Errorf("delivered %+v", p.events)
	}
}

// A registration in the outbox is answered 202, and a repeat is marked as such. No answer has the receipt.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	kept := relay.Outcome{Kind: relay.InOutbox, EventID: "e-1", Outbox: delivery.Kept{Queue: "userrelay-outbox", ID: "m-1", Receipt: marker}}
	for body, o := range map[string]relay.Outcome{
		storedJSON("e-1"): outcome(registration.Event{ID: "e-1"}),
		`{"eventId":"e-1","outbox":"userrelay-outbox","messageId":"m-1"}`: kept,
	} {
		for replayed, header := range map[bool]string{false: "", true: "true"} {
			o.Replayed = replayed
			deliver := func(context.Context, registration.Event) (relay.Outcome, error) { return o, nil }
			a := serving(t, &parts{deliver: deliver}).serve(post(t))
			a.want(t, map[relay.Kind]int{relay.InKafka: http.StatusOK, relay.InOutbox: http.StatusAccepted}[o.Kind], body)
			if got := a.header.Get("Idempotency-Replayed"); got != header {
				t.Errorf("Idempotency-Replayed = %q, want %q", got, header)
			}
		}
	}
}

func TestNotStored(t *testing.T) {
	t.Parallel()
	const (
		notStored = "The registration could not be stored. Send it again."
		unknown   = "No answer came in time: the registration may or may not be stored. Send it again; a duplicate has the same event id."
		invalid   = "Kafka rejects the record as invalid. Sending it again does not help. The error was recorded."
		taken     = "The event id (Idempotency-Key, eventId or the CloudEvent's id) belongs to the registration of another user. " +
			"Use one id for one registration."
	)
	cause := errors.New("broker says: " + marker)
	type row struct {
		status              int
		retry, kind, detail string
	}
	again := row{503, "2", "not-stored", notStored}
	cases := map[error]row{
		cause: again, relay.ErrIDTaken: {422, "", "event-id-taken", taken},
	}
	for class, c := range map[delivery.Class]row{
		delivery.Unavailable: {503, "1", "not-stored", notStored}, delivery.UnknownOutcome: {503, "2", "outcome-unknown", unknown},
		delivery.Throttled: again, delivery.NotAuthorized: again, delivery.UnknownTopic: again, delivery.TooLarge: again,
		delivery.TopicRule: again, delivery.Fatal: again, delivery.Invalid: {500, "", "record-refused", invalid},
	} {
		cases[fmt.Errorf("deliver: %w", &delivery.Error{Class: class, Op: "produce", Err: cause})] = c
	}
	for err, c := range cases {
		deliver := func(context.Context, registration.Event) (relay.Outcome, error) { return relay.Outcome{}, err }
		got := serving(t, &parts{deliver: deliver}).serve(post(t))
		got.wantProblem(t, c.status, c.kind)
		want := fmt.Sprintf(`{"type":"urn:userrelay:problem:%s","title":"%s","status":%d,"detail":"%s","eventId":"e-1"}`,
			c.kind, http.StatusText(c.status), c.status, c.detail)
		if retry := got.header.Get("Retry-After"); got.body != want || retry != c.retry {
			t.Errorf("%v: answer %s, Retry-After %q, want %s and %q", err, got.body, retry, want, c.retry)
		}
	}
}

// Bodies of these types and encodings are read as JSON, others are refused.
func TestMediaTypes(t *testing.T) {
	t.Parallel()
	const contentType, encoding = "Content-Type", "Content-Encoding"
	for ok, headers := range map[bool][]http.Header{
		true: {
			{},
			{contentType: {""}},
			{contentType: {"application/json"}},
			{contentType: {`application/json;charset="UTF-8"`}},
			{contentType: {"Application/JSON"}},
			{contentType: {"application/cloudevents+json; charset=UTF-8"}},
			{contentType: {"application/vnd.x.y+json"}},
			{contentType: {"text/plain;charset=UTF-8"}},
			{contentType: {"text/plain"}},
			{contentType: {"application/x-www-form-urlencoded"}},
			{contentType: {"  application/json ; charset=utf-8 "}},
			{contentType: {"application/json; charset"}}, // a broken parameter
			{encoding: {""}},
			{encoding: {"Identity"}},
		},
		false: {
			{contentType: {"application/xml"}},
			{contentType: {"multipart/form-data; boundary=x"}},
			{contentType: {"text/json"}},
			{contentType: {"image/svg+json"}},
			{contentType: {"application/json-seq"}},
			{contentType: {"application/json+xml"}},
			{contentType: {"application/json, text/plain"}},
			{contentType: {"application/json", "application/json"}},
			{contentType: {"json"}},
			{contentType: {marker}},
			{contentType: {"; charset=utf-8"}},
			{contentType: {"*/*"}},
			{contentType: {"application/xml; a=" + marker}},
			{encoding: {"gzip"}},
			{encoding: {"BR"}},
			{encoding: {"identity, gzip"}},
			{encoding: {"identity", "gzip"}},
			{encoding: {marker}},
		},
	} {
		for _, h := range headers {
			p, r := serving(t, &parts{}), post(t)
			if !ok {
				r = request(t, http.MethodPost, register, unwanted(t))
			}
			r.Header = h
			got := p.serve(r)
			if ok {
				got.wantStored(t)
				continue
			}
			detail := got.wantProblem(t, http.StatusUnsupportedMediaType, "unsupported-media-type")
			want := "Content-Encoding: must be absent."
			if h[contentType] != nil {
				want = "Content-Type: must be "
			}
			if !strings.HasPrefix(detail, want) {
				t.Errorf("%v: detail = %q", h, detail)
			}
		}
	}
}
