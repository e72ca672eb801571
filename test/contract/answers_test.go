package contract_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"userrelay/handler/registration"
)

// api is the content of openapi.yaml. Callers may send undocumented members; the program may not.
type api struct {
	body, key, cloudEvent *jsonschema.Schema // of a registration
	answers               map[string]answer  // by method, path and status: "POST /RegisterUser 200"
}

// answer is a documented answer.
type answer struct {
	bodies, headers map[string]*jsonschema.Schema // by media type, by name
	required        []string                      // headers
}

func loadAPI(t *testing.T) api {
	t.Helper()
	root := tree(t, "openapi.yaml")
	for _, name := range []string{"Stored", "Kept", "Ignored", "Health", "Version", "Problem"} {
		object(t, at(t, root, "components", "schemas", name))["additionalProperties"] = false
	}
	compiled := schemas(t, root, nil)
	a := api{
		body:       compiled("paths", "/RegisterUser", "post", "requestBody", "content", "application/json", "schema"),
		key:        compiled("components", "schemas", "EventId"),
		cloudEvent: compiled("components", "schemas", "HasCloudEvent"),
		answers:    map[string]answer{},
	}
	for path, operations := range object(t, root["paths"]) {
		for method, operation := range object(t, operations) {
			for status, documented := range object(t, at(t, operation, "responses")) {
				r := answer{bodies: map[string]*jsonschema.Schema{}, headers: map[string]*jsonschema.Schema{}}
				content, _ := object(t, documented)["content"].(map[string]any)
				for mediaType := range content {
					r.bodies[mediaType] = compiled("paths", path, method, "responses", status, "content", mediaType, "schema")
				}
				headers, _ := object(t, documented)["headers"].(map[string]any)
				for name, header := range headers {
					r.headers[name] = compiled("paths", path, method, "responses", status, "headers", name, "schema")
					if object(t, header)["required"] == true {
						r.required = append(r.required, name)
					}
				}
				a.answers[strings.ToUpper(method)+" "+path+" "+status] = r
			}
		}
	}
	return a
}

// accepts says whether the document permits a registration. The key is not read for CloudEvents.
func (a api) accepts(key string, body []byte) bool {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	return err == nil && a.body.Validate(value) == nil && (key == "" || a.cloudEvent.Validate(value) == nil || a.key.Validate(key) == nil)
}

// hold validates an answer.
func (a api) hold(method, path string, got *httptest.ResponseRecorder) error {
	name := fmt.Sprintf("%s %s %d", method, path, got.Code)
	r, known := a.answers[name]
	schema := r.bodies[got.Header().Get("Content-Type")]
	if !known || schema == nil || !jsontext.Value(got.Body.Bytes()).IsValid() {
		return fmt.Errorf("%s, %q: not documented: %s", name, got.Header(), got.Body)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(got.Body.Bytes()))
	if err = errors.Join(err, schema.Validate(value)); err != nil {
		return fmt.Errorf("%s: %s: %w", name, got.Body, err)
	}
	for header, rule := range r.headers {
		text := got.Header().Get(header)
		if text == "" && !slices.Contains(r.required, header) {
			continue
		}
		var shown any = text
		if number, err := strconv.Atoi(text); err == nil {
			shown = number
		}
		if err := rule.Validate(shown); err != nil {
			return fmt.Errorf("%s: %s: %w", name, header, err)
		}
	}
	return nil
}

// TestUndocumented shows that an undocumented answer is detected.
func TestUndocumented(t *testing.T) {
	t.Parallel()
	const (
		plain, problem = "application/json", "application/problem+json"
		stored         = `{"eventId":"e-1","topic":"t","partition":1,"offset":2,"timestamp":3}`
		busy           = `{"type":"urn:userrelay:problem:busy","title":"x","status":503,"detail":"x"}`
	)
	a := loadAPI(t)
	for name, tt := range map[string]struct {
		status                      int
		mediaType, retryAfter, body string
		ok                          bool
	}{
		"documented":     {200, plain, "", stored, true},
		"a member more":  {200, plain, "", strings.Replace(stored, "}", `,"key":"x"}`, 1), false},
		"a member less":  {200, plain, "", strings.Replace(stored, `,"timestamp":3`, "", 1), false},
		"a wrong type":   {200, plain, "", strings.Replace(stored, "1,", `"1",`, 1), false},
		"a status":       {201, plain, "", stored, false},
		"a media type":   {200, "text/plain", "", stored, false},
		"a problem":      {503, problem, "1", strings.Replace(busy, "busy", "new", 1), false},
		"not UTF-8":      {503, problem, "1", strings.Replace(busy, "x", "\xff", 1), false},
		"when to repeat": {503, problem, "", busy, false},
		"and with it":    {503, problem, "1", busy, true},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", tt.mediaType)
		w.Header().Set("Retry-After", tt.retryAfter)
		w.WriteHeader(tt.status)
		_, _ = w.WriteString(tt.body)
		if err := a.hold("POST", "/RegisterUser", w); (err == nil) != tt.ok {
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

// TestExamples sends every example request of the documents, and makes the program produce every example record.
func TestExamples(t *testing.T) {
	t.Parallel()
	a, document := loadAPI(t), loadContract(t)
	examples := object(t, at(t, tree(t, "openapi.yaml"), "paths", "/RegisterUser", "post", "requestBody", "content", "application/json", "examples"))
	if len(examples) < 6 {
		t.Errorf("%d examples", len(examples))
	}
	for name, example := range examples {
		body := text(t, at(t, example, "value"))
		record, w := posted(t, registration.Decoder{Profile: true}, body)
		if err := a.hold("POST", "/RegisterUser", w); err != nil || w.Code != 200 || !a.accepts("", body) {
			t.Errorf("%s: status %d: %v", name, w.Code, err)
		}
		if record != nil {
			document.hold(t, *record)
		} else if name != "other" {
			t.Errorf("%s: no record", name)
		}
	}
	records := list(at(t, tree(t, "asyncapi.yaml"), "components", "messages", "UserCreated", "examples"))
	if len(records) == 0 {
		t.Error("no records")
	}
	for _, example := range records {
		headers, payload := object(t, at(t, example, "headers")), object(t, at(t, example, "payload"))
		user, full := payload["user"]
		if !full {
			user = map[string]any{"created_at": headers["ce_time"]}
		}
		tenant := strings.TrimPrefix(fmt.Sprint(headers["ce_source"]), "urn:auth0:")
		record, w := posted(t, registration.Decoder{Profile: full}, text(t, map[string]any{"userId": payload["userId"], "tenant": tenant, "user": user}))
		if record == nil {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		document.hold(t, *record)
		got, value := map[string]any{}, map[string]any{}
		for _, h := range record.Headers {
			got[h.Key] = h.Value
		}
		got["traceparent"] = headers["traceparent"] // names a span of its own each time
		if err := json.Unmarshal(record.Value, &value); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]any{headers, payload}, []any{got, value}); d != "" {
			t.Errorf("headers and value (-document +record):\n%s", d)
		}
	}
}

// posted sends a request, with headers "Name: value", and returns the record that was stored, or nil.
func posted(t *testing.T, d registration.Decoder, body []byte, headers ...string) (*registration.Record, *httptest.ResponseRecorder) {
	t.Helper()
	s, w := &store{}, httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/RegisterUser", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	app(t, s, nil, d).ServeHTTP(w, r)
	return s.kept(), w
}
