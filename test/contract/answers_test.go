package contract_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	invalid "github.com/pb33f/libopenapi-validator/errors"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
)

// api is the content of openapi.yaml. Callers may send undocumented members; the program may not.
type api struct {
	requests, answers validator.Validator
}

func loadAPI(t *testing.T) api {
	t.Helper()
	made := func(text []byte, options ...config.Option) validator.Validator {
		doc, err := libopenapi.NewDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		v, errs := validator.NewValidator(doc, append(options, config.WithFormatAssertions(), config.WithContentAssertions())...)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		return v
	}
	closed := tree(t, "openapi.yaml")
	for name, schema := range object(t, at(t, closed, "components", "schemas")) {
		if o := object(t, schema); slices.Contains([]string{"Stored", "Kept", "Ignored", "Health", "Version", "Problem"}, name) {
			o["additionalProperties"] = false
		}
	}
	return api{
		requests: made(published(t, "openapi.yaml"), config.WithoutSecurityValidation()), // the key is the host's business
		answers:  made(text(t, closed)),
	}
}

// documented is a request for the validation: the operation, the key and the body.
func documented(method, path, key string, body []byte) *http.Request {
	r := httptest.NewRequest(method, "https://example.azurewebsites.net/api"+path, bytes.NewReader(body)) //nolint:noctx // it is sent nowhere
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	return r
}

// accepts says whether the document permits a request.
func (a api) accepts(method, path, key string, body []byte) bool {
	ok, _ := a.requests.ValidateHttpRequestSync(documented(method, path, key, body))
	return ok
}

// hold validates an answer.
func (a api) hold(method, path string, answer *httptest.ResponseRecorder) error {
	response := answer.Result()
	defer response.Body.Close() //nolint:errcheck // it is in memory
	ok, wrong := a.answers.ValidateHttpResponse(documented(method, path, "", nil), response)
	if ok {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d %s", method, path, answer.Code, answer.Body)
	for _, w := range wrong {
		b.WriteString("\n" + said(w))
	}
	return errors.New(b.String())
}

func said(w *invalid.ValidationError) string {
	parts := []string{w.Message, w.Reason}
	for _, s := range w.SchemaValidationErrors {
		parts = append(parts, s.Reason)
	}
	return strings.Join(parts, "; ")
}

// TestUndocumented shows that an undocumented answer is detected.
func TestUndocumented(t *testing.T) {
	t.Parallel()
	a := loadAPI(t)
	const stored = `{"eventId":"e-1","topic":"t","partition":1,"offset":2,"timestamp":3`
	for name, tt := range map[string]struct {
		status    int
		mediaType string
		header    string
		body      string
		ok        bool
	}{
		"documented":     {200, "application/json", "", stored + `}`, true},
		"a member more":  {200, "application/json", "", stored + `,"key":"x"}`, false},
		"a member less":  {200, "application/json", "", `{"eventId":"e-1"}`, false},
		"a wrong type":   {200, "application/json", "", strings.Replace(stored, "1,", `"1",`, 1) + `}`, false},
		"a status":       {201, "application/json", "", stored + `}`, false},
		"a media type":   {200, "text/plain", "", stored + `}`, false},
		"a problem":      {400, "application/problem+json", "", `{"type":"urn:userrelay:problem:new","title":"x","status":400,"detail":"x"}`, false},
		"when to repeat": {503, "application/problem+json", "", `{"type":"urn:userrelay:problem:busy","title":"x","status":503,"detail":"x"}`, false},
		"and with it":    {503, "application/problem+json", "1", `{"type":"urn:userrelay:problem:busy","title":"x","status":503,"detail":"x"}`, true},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", tt.mediaType)
		if tt.header != "" {
			w.Header().Set("Retry-After", tt.header)
		}
		w.WriteHeader(tt.status)
		_, _ = io.WriteString(w, tt.body)
		if err := a.hold("POST", "/RegisterUser", w); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	a := loadAPI(t)
	const id = `{"userId":"auth0|1"}`
	for name, tt := range map[string]struct {
		method, path, body, mediaType string
		err                           error
		status                        int
	}{
		"stored":          {"POST", "/RegisterUser", id, "application/json", nil, 200},
		"ignored":         {"POST", "/RegisterUser", `{"specversion":"1.0","type":"user.updated","id":"evt_1"}`, "", nil, 200},
		"invalid":         {"POST", "/RegisterUser", `{"userId":5}`, "", nil, 400},
		"wrong method":    {"PUT", "/RegisterUser", id, "", nil, 405},
		"too large":       {"POST", "/RegisterUser", strings.Repeat(" ", functions.MaxBody+1), "", nil, 413},
		"media type":      {"POST", "/RegisterUser", id, "image/png", nil, 415},
		"invalid record":  {"POST", "/RegisterUser", id, "", down(delivery.Invalid), 500},
		"unavailable":     {"POST", "/RegisterUser", id, "", down(delivery.Unavailable), 503},
		"unknown outcome": {"POST", "/RegisterUser", id, "", down(delivery.UnknownOutcome), 503},
		"throttled":       {"POST", "/RegisterUser", id, "", down(delivery.Throttled), 503},
		"healthy":         {"GET", "/Health", "", "", nil, 200},
		"degraded":        {"GET", "/Health", "", "", down(delivery.Unavailable), 503},
		"version":         {"GET", "/Version", "", "", nil, 200},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, "/api"+tt.path, strings.NewReader(tt.body))
		if tt.mediaType != "" {
			r.Header.Set("Content-Type", tt.mediaType)
		}
		w := httptest.NewRecorder()
		app(t, &store{err: tt.err}, nil, registration.Decoder{Profile: true}).ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d", name, w.Code, tt.status)
			continue
		}
		if err := a.hold(methodOf(tt.path), tt.path, w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// methodOf is the documented method of a path.
func methodOf(path string) string {
	if path == "/RegisterUser" {
		return http.MethodPost
	}
	return http.MethodGet
}

// TestRepeats validates the answers to repeats, in Kafka and in the outbox, and to an id of another user.
func TestRepeats(t *testing.T) {
	t.Parallel()
	a := loadAPI(t)
	for status, err := range map[int]error{200: nil, 202: &delivery.Error{Class: delivery.Unavailable, Op: "produce"}} {
		h := app(t, &store{err: err}, outbox{}, registration.Decoder{})
		for i, user := range []string{"auth0|1", "auth0|1", "auth0|2"} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/RegisterUser", strings.NewReader(`{"userId":"`+user+`"}`))
			r.Header.Set("Idempotency-Key", "k-1")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want := []int{status, status, 422}[i]
			if w.Code != want {
				t.Errorf("request %d: status %d, want %d", i, w.Code, want)
				continue
			}
			if err := a.hold("POST", "/RegisterUser", w); err != nil {
				t.Error(err)
			}
			if replayed := w.Header().Get("Idempotency-Replayed"); (replayed != "") != (i == 1) {
				t.Errorf("request %d: Idempotency-Replayed = %q", i, replayed)
			}
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	document, a := loadContract(t), loadAPI(t)
	for name, body := range map[string]string{
		"id":         `{"userId":"auth0|1","tenant":"acme","eventId":"e-1"}`,
		"profile":    `{"user_id":"auth0|1","email":"jane@example.com","created_at":"2026-11-21T19:00:00.123Z","a":[1,null]}`,
		"value":      `{"value":"{\"user_id\":\"samlp|a\\nb\",\"tenant\":\"acme\"}"}`,
		"stream":     `{"specversion":"1.0","type":"user.created","id":"evt_1","source":"urn:auth0:acme.us.auth0.com","a0tenant":"acme","data":{"object":{"user_id":"auth0|1","created_at":"2026-11-21T19:00:00.123Z"}}}`,
		"omitted":    `{"userId":"auth0|1","user":{"note":"` + strings.Repeat("x", registration.MaxRecord) + `"}}`,
		"CloudEvent": `{"specversion":"1.0","type":"user.created","id":"evt_1","source":"urn:auth0:acme.us.auth0.com","time":"2026-02-02T17:56:01.573Z","a0purpose":"test","data":{"object":{"user_id":"auth0|1"}}}`,
	} {
		s := &store{}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/RegisterUser", strings.NewReader(body))
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
		r.Header.Set("Tracestate", "acme=1")
		w := httptest.NewRecorder()
		app(t, s, nil, registration.Decoder{Profile: true}).ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("%s: status %d: %s", name, w.Code, w.Body)
			continue
		}
		if !a.accepts("POST", "/RegisterUser", "", []byte(body)) {
			t.Errorf("%s: openapi.yaml does not let it pass", name)
		}
		document.hold(t, *s.kept())
	}
}

// TestExamples sends every example request of the documents, and makes the program produce every example record.
func TestExamples(t *testing.T) {
	t.Parallel()
	a, document := loadAPI(t), loadContract(t)
	examples := object(t, at(t, tree(t, "openapi.yaml"), "paths", "/RegisterUser", "post", "requestBody", "content", "application/json", "examples"))
	if len(examples) < 6 {
		t.Errorf("%d examples", len(examples))
	}
	for name, example := range examples {
		body, err := json.Marshal(object(t, example)["value"])
		if err != nil {
			t.Fatal(err)
		}
		s, w := &store{}, httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/RegisterUser", bytes.NewReader(body))
		app(t, s, nil, registration.Decoder{Profile: true}).ServeHTTP(w, r)
		if err := a.hold("POST", "/RegisterUser", w); err != nil || w.Code != 200 || !a.accepts("POST", "/RegisterUser", "", body) {
			t.Errorf("%s: status %d: %v", name, w.Code, err)
		}
		if record := s.kept(); record != nil {
			document.hold(t, *record)
		} else if name != "other" {
			t.Errorf("%s: no record", name)
		}
	}
	for name, example := range asyncExamples(t) {
		headers, payload := object(t, example["headers"]), object(t, example["payload"])
		made := remade(t, headers, payload)
		document.hold(t, made)
		got := map[string]any{}
		for _, h := range made.Headers {
			got[h.Key] = h.Value
		}
		got["traceparent"] = headers["traceparent"] // names a span of its own each time
		if d := cmp.Diff(headers, got); d != "" {
			t.Errorf("%s: headers (-document +record):\n%s", name, d)
		}
		var value map[string]any
		if err := json.Unmarshal(made.Value, &value); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(payload, value); d != "" {
			t.Errorf("%s: value (-document +record):\n%s", name, d)
		}
	}
}

// asyncExamples are the records of asyncapi.yaml, by name.
func asyncExamples(t *testing.T) map[string]map[string]any {
	t.Helper()
	list, ok := at(t, tree(t, "asyncapi.yaml"), "components", "messages", "UserCreated", "examples").([]any)
	if !ok || len(list) == 0 {
		t.Fatal("no examples")
	}
	all := map[string]map[string]any{}
	for _, example := range list {
		o := object(t, example)
		all[fmt.Sprint(o["name"])] = o
	}
	return all
}

// remade sends the registration of an example record, and returns the resulting record.
func remade(t *testing.T, headers, payload map[string]any) registration.Record {
	t.Helper()
	tenant := strings.TrimPrefix(fmt.Sprint(headers["ce_source"]), "urn:auth0:")
	profile, ok := payload["user"].(map[string]any)
	if !ok {
		profile = map[string]any{"created_at": headers["ce_time"]}
	}
	body, err := json.Marshal(map[string]any{"userId": payload["userId"], "tenant": tenant, "user": profile})
	if err != nil {
		t.Fatal(err)
	}
	s, w := &store{}, httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/RegisterUser", bytes.NewReader(body))
	app(t, s, nil, registration.Decoder{Profile: payload["user"] != nil}).ServeHTTP(w, r)
	if s.kept() == nil {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return *s.kept()
}
