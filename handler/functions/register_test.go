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
		if c.key != "" {
			r.Header.Set("Idempotency-Key", c.key)
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
	const want = "Idempotency-Key: must be 1 to 128 visible ASCII characters."
	if detail := p.serve(r).wantProblem(t, http.StatusBadRequest, "invalid-registration"); detail != want {
		t.Errorf("detail %q, want %q", detail, want)
	}
	if len(p.events) > 0 {
		t.Errorf("delivered %+v", p.events)
	}
}

func delivers(o relay.Outcome, err error) delivering {
	return func(context.Context, registration.Event) (relay.Outcome, error) { return o, err }
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
			a := serving(t, &parts{deliver: delivers(o, nil)}).serve(post(t))
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
		got := serving(t, &parts{deliver: delivers(relay.Outcome{}, err)}).serve(post(t))
		detail := got.wantProblem(t, c.status, c.kind)
		if retry := got.header.Get("Retry-After"); detail != c.detail+`","eventId":"e-1` || retry != c.retry {
			t.Errorf("%v: detail %s, Retry-After %q, want %s, the event id and %q", err, detail, retry, c.detail, c.retry)
		}
	}
}

// Bodies of these types and encodings are read as JSON, others are refused. In the table, a bar is between the lines of
// a header.
func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for header, c := range map[string]struct {
		read, refused []string
		rule          string // the beginning of the detail
	}{
		"Content-Type": {[]string{
			"", "application/json", `application/json;charset="UTF-8"`, "Application/JSON", "application/cloudevents+json; charset=UTF-8",
			"application/vnd.x.y+json", "text/plain;charset=UTF-8", "text/plain", "application/x-www-form-urlencoded",
			"  application/json ; charset=utf-8 ", "application/json; charset", // a broken parameter
		}, []string{
			"application/xml", "multipart/form-data; boundary=x", "text/json", "image/svg+json", "application/json-seq", "application/json+xml",
			"application/json, text/plain", "application/json|application/json", "json", marker, "; charset=utf-8", "*/*",
			"application/xml; a=" + marker,
		}, "Content-Type: must be "},
		"Content-Encoding": {
			[]string{"", "Identity"}, []string{"gzip", "BR", "identity, gzip", "identity|gzip", marker}, "Content-Encoding: must be absent.",
		},
	} {
		for _, value := range c.read {
			r := post(t)
			r.Header[header] = strings.Split(value, "|")
			serving(t, &parts{}).serve(r).wantStored(t)
		}
		for _, value := range c.refused {
			r := request(t, http.MethodPost, register, unwanted(t))
			r.Header[header] = strings.Split(value, "|")
			got := serving(t, &parts{}).serve(r)
			if detail := got.wantProblem(t, http.StatusUnsupportedMediaType, "unsupported-media-type"); !strings.HasPrefix(detail, c.rule) {
				t.Errorf("%s %q: detail = %q", header, value, detail)
			}
		}
	}
}
