package functions_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

func TestStored(t *testing.T) {
	t.Parallel()
	var events []registration.Event
	p := &parts{deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
		events = append(events, e)
		return outcome(e), nil
	}}
	h := p.handler(t)
	serve(t, h, post(t)).wantStored(t, "e-1")

	keyed := post(t)
	keyed.Header.Set("Idempotency-Key", "k-1")
	serve(t, h, keyed).wantStored(t, "k-1")

	stream := request(t, http.MethodPost, register, strings.NewReader(
		`{"specversion":"1.0","type":"user.created","id":"evt_1","data":{"object":{"user_id":"auth0|2"}}}`))
	stream.Header.Set("Content-Type", "application/cloudevents+json")
	serve(t, h, stream).wantStored(t, "evt_1")

	var got []string
	for _, e := range events {
		got = append(got, e.ID+" "+e.UserID)
	}
	if diff := cmp.Diff([]string{"e-1 auth0|1", "k-1 auth0|1", "evt_1 auth0|2"}, got); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	p := &parts{deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
		t.Errorf("delivered: %+v", e)
		return relay.Outcome{}, nil
	}}
	h := p.handler(t)
	for body, want := range map[string]string{
		`{"specversion":"1.0","type":"organization.member.added","id":"evt_1"}`:                              `{"ignored":"organization.member.added","eventId":"evt_1"}`,
		`{"specversion":"1.0","type":"user.created.x","id":"evt_1","data":{"object":{"user_id":"auth0|1"}}}`: `{"ignored":"user.created.x","eventId":"evt_1"}`,
		`{"specversion":"1.0","type":"xuser.created","id":"evt_1","data":{"object":{"user_id":"auth0|1"}}}`:  `{"ignored":"xuser.created","eventId":"evt_1"}`,
		`{"specversion":"1.0","type":"<b>\"ż\"","id":"evt_1"}`:                                               `{"ignored":"<b>\"ż\"","eventId":"evt_1"}`,
	} {
		got := serve(t, h, request(t, http.MethodPost, register, strings.NewReader(body)))
		if got.status != http.StatusOK || got.body != want {
			t.Errorf("answer %d %s, want 200 %s", got.status, got.body, want)
		}
		got.wantHeaders(t, "application/json")
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	const userIDRule = "must be a string of 1 to 1024 bytes that is not blank."
	p := &parts{deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
		t.Errorf("delivered: %+v", e)
		return relay.Outcome{}, nil
	}}
	h := p.handler(t)
	for body, want := range map[string]string{
		``:                              "body: must be a JSON object.",
		`{"userId":"` + marker:          "body: must be JSON.",
		`{"userId":["` + marker + `"]}`: "userId: " + userIDRule,
		`{"user_id":" ","email":"` + marker + `"}`:  "user_id: " + userIDRule,
		`{"email":"` + marker + `"}`:                `userId: is missing: send {"userId": "…"}, Auth0's event.user with its user_id, {"value": …} with that in it, or a CloudEvent with specversion and type.`,
		`{"userId":"auth0|1","` + marker + `":1} 1`: "body: must be one JSON object with nothing after it.",
		`{"value":"` + marker + `"}`:                "value: must be Auth0's event.user, as a JSON object or as the text of one.",
	} {
		got := serve(t, h, request(t, http.MethodPost, register, strings.NewReader(body)))
		if p := got.wantProblem(t, http.StatusBadRequest, "invalid-registration"); p.Detail != want || p.EventID != "" {
			t.Errorf("body %s: detail %q, event id %q, want %q", body, p.Detail, p.EventID, want)
		}
	}
	r := post(t)
	r.Header.Set("Idempotency-Key", marker+" ż")
	got := serve(t, h, r)
	const want = `{"type":"urn:userrelay:problem:invalid-registration","title":"Bad Request","status":400,` +
		`"detail":"Idempotency-Key: must be 1 to 128 visible ASCII characters."}`
	if got.wantProblem(t, http.StatusBadRequest, "invalid-registration"); got.body != want {
		t.Errorf("answer %s, want %s", got.body, want)
	}
}

func TestNotStored(t *testing.T) {
	t.Parallel()
	const (
		notStored = "The registration could not be stored. Send it again."
		unknown   = "No answer came in time: the registration may or may not be stored. Send it again; a duplicate has the same event id."
		invalid   = "Kafka rejects the record as invalid. Sending it again does not help. The error was recorded."
	)
	cause := errors.New("broker says: " + marker)
	for class, c := range map[delivery.Class]struct {
		status             int
		retry, kind, title string
		detail             string
	}{
		delivery.Unavailable:    {503, "1", "not-stored", "Service Unavailable", notStored},
		delivery.UnknownOutcome: {503, "2", "outcome-unknown", "Service Unavailable", unknown},
		delivery.Throttled:      {503, "2", "not-stored", "Service Unavailable", notStored},
		delivery.NotAuthorized:  {503, "2", "not-stored", "Service Unavailable", notStored},
		delivery.UnknownTopic:   {503, "2", "not-stored", "Service Unavailable", notStored},
		delivery.TooLarge:       {503, "2", "not-stored", "Service Unavailable", notStored},
		delivery.TopicRule:      {503, "2", "not-stored", "Service Unavailable", notStored},
		delivery.Fatal:          {503, "2", "not-stored", "Service Unavailable", notStored},
		delivery.Invalid:        {500, "", "record-refused", "Internal Server Error", invalid},
		"no class":              {503, "2", "not-stored", "Service Unavailable", notStored},
	} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			p := &parts{deliver: func(context.Context, registration.Event) (relay.Outcome, error) {
				if class == "no class" {
					return relay.Outcome{}, cause
				}
				return relay.Outcome{}, fmt.Errorf("deliver: %w", &delivery.Error{Class: class, Op: "produce", Err: cause})
			}}
			got := serve(t, p.handler(t), post(t))
			want := fmt.Sprintf(`{"type":"urn:userrelay:problem:%s","title":"%s","status":%d,"detail":"%s","eventId":"e-1"}`, c.kind, c.title, c.status, c.detail)
			if got.status != c.status || got.body != want {
				t.Errorf("answer %d %s, want %d %s", got.status, got.body, c.status, want)
			}
			if retry := got.header.Get("Retry-After"); retry != c.retry {
				t.Errorf("Retry-After = %q, want %q", retry, c.retry)
			}
			got.wantProblem(t, c.status, c.kind)
		})
	}
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		types []string
		ok    bool
	}{
		"none":                         {nil, true},
		"empty":                        {[]string{""}, true},
		"JSON":                         {[]string{"application/json"}, true},
		"JSON in UTF-8":                {[]string{"application/json; charset=utf-8"}, true},
		"JSON in UTF-8, quoted":        {[]string{`application/json;charset="UTF-8"`}, true},
		"in upper case":                {[]string{"Application/JSON"}, true},
		"CloudEvent":                   {[]string{"application/cloudevents+json"}, true},
		"CloudEvent in UTF-8":          {[]string{"application/cloudevents+json; charset=UTF-8"}, true},
		"problem, whatever":            {[]string{"application/vnd.x.y+json"}, true},
		"fetch with a string":          {[]string{"text/plain;charset=UTF-8"}, true},
		"curl -d":                      {[]string{"application/x-www-form-urlencoded"}, true},
		"white space around":           {[]string{"  application/json ; charset=utf-8 "}, true},
		"broken parameter":             {[]string{"application/json; charset"}, true},
		"XML":                          {[]string{"application/xml"}, false},
		"form with parts":              {[]string{"multipart/form-data; boundary=x"}, false},
		"bytes":                        {[]string{"application/octet-stream"}, false},
		"HTML":                         {[]string{"text/html"}, false},
		"JSON as text":                 {[]string{"text/json"}, false},
		"JSON as another thing":        {[]string{"image/svg+json"}, false},
		"JSON with more":               {[]string{"application/json-seq"}, false},
		"lines":                        {[]string{"application/x-ndjson"}, false},
		"JSON in front":                {[]string{"application/json+xml"}, false},
		"batch of CloudEvents":         {[]string{"application/cloudevents-batch+json"}, true}, // an array: 400 by the decoder
		"two in one":                   {[]string{"application/json, text/plain"}, false},
		"two headers":                  {[]string{"application/json", "application/json"}, false},
		"no type":                      {[]string{"json"}, false},
		"nothing sensible":             {[]string{marker}, false},
		"only parameters":              {[]string{"; charset=utf-8"}, false},
		"anything":                     {[]string{"*/*"}, false},
		"JSON with a marker parameter": {[]string{"application/xml; a=" + marker}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := post(t)
			r.Header["Content-Type"] = c.types
			if c.ok {
				serve(t, (&parts{}).handler(t), r).wantStored(t, "e-1")
				return
			}
			r = request(t, http.MethodPost, register, unwanted(t))
			r.Header["Content-Type"] = c.types
			p := serve(t, (&parts{}).handler(t), r).wantProblem(t, http.StatusUnsupportedMediaType, "unsupported-media-type")
			if !strings.HasPrefix(p.Detail, "Content-Type: must be ") {
				t.Errorf("detail = %q", p.Detail)
			}
		})
	}
}

func TestContentEncodings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		encodings []string
		ok        bool
	}{
		"none":     {nil, true},
		"empty":    {[]string{""}, true},
		"identity": {[]string{"identity"}, true}, // says that there is none
		"gzip":     {[]string{"gzip"}, false},
		"deflate":  {[]string{"deflate"}, false},
		"br":       {[]string{"BR"}, false},
		"two":      {[]string{"identity, gzip"}, false},
		"twice":    {[]string{"identity", "gzip"}, false},
		"whatever": {[]string{marker}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := post(t)
			if !c.ok {
				r = request(t, http.MethodPost, register, unwanted(t))
			}
			r.Header["Content-Encoding"] = c.encodings
			got := serve(t, (&parts{}).handler(t), r)
			if c.ok {
				got.wantStored(t, "e-1")
				return
			}
			if p := got.wantProblem(t, http.StatusUnsupportedMediaType, "unsupported-media-type"); p.Detail != "Content-Encoding: must be absent." {
				t.Errorf("detail = %q", p.Detail)
			}
		})
	}
}
