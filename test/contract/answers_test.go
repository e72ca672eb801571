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
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

// api is the content of openapi.yaml. Callers may send undocumented members; the program may not.
type api struct {
	body, key *jsonschema.Schema // of a registration
	answers   map[string]answer  // by method, path and status: "POST /RegisterUser 200"
}

// answer is a documented answer.
type answer struct {
	bodies, headers map[string]*jsonschema.Schema // by media type, by name
	required        []string                      // headers
}

func loadAPI(t *testing.T) api {
	t.Helper()
	const file = "file:///openapi.yaml"
	root := tree(t, "openapi.yaml")
	for _, name := range []string{"Stored", "Kept", "Ignored", "Health", "Version", "Problem"} {
		object(t, at(t, root, "components", "schemas", name))["additionalProperties"] = false
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource(file, root); err != nil {
		t.Fatal(err)
	}
	// compiled follows a path and the references on it, and compiles the schema there.
	compiled := func(path ...string) *jsonschema.Schema {
		value, pointer := any(root), ""
		for _, name := range path {
			value = object(t, value)[name]
			pointer += "/" + strings.ReplaceAll(name, "/", "~1")
			if ref, ok := object(t, value)["$ref"].(string); ok && name != "schema" {
				value, pointer = resolved(t, root, value), strings.TrimPrefix(ref, "#")
			}
		}
		return must.Get[*jsonschema.Schema](t)(c.Compile(file + "#" + pointer))
	}
	a := api{answers: map[string]answer{}, body: compiled("paths", "/RegisterUser", "post", "requestBody", "content", "application/json", "schema"), key: compiled("components", "schemas", "EventId")}
	for path, operations := range object(t, root["paths"]) {
		for method, operation := range object(t, operations) {
			for status, response := range object(t, object(t, operation)["responses"]) {
				r := answer{bodies: map[string]*jsonschema.Schema{}, headers: map[string]*jsonschema.Schema{}}
				documented, _ := resolved(t, root, response).(map[string]any)
				content, _ := documented["content"].(map[string]any)
				for mediaType := range content {
					r.bodies[mediaType] = compiled("paths", path, method, "responses", status, "content", mediaType, "schema")
				}
				headers, _ := documented["headers"].(map[string]any)
				for name, header := range headers {
					r.headers[name] = compiled("paths", path, method, "responses", status, "headers", name, "schema")
					if object(t, resolved(t, root, header))["required"] == true {
						r.required = append(r.required, name)
					}
				}
				a.answers[strings.ToUpper(method)+" "+path+" "+status] = r
			}
		}
	}
	return a
}

// accepts says whether the document permits a registration.
func (a api) accepts(key string, body []byte) bool {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	return err == nil && a.body.Validate(value) == nil && (key == "" || a.key.Validate(key) == nil)
}

// hold validates an answer.
func (a api) hold(method, path string, got *httptest.ResponseRecorder) error {
	name := fmt.Sprintf("%s %s %d", method, path, got.Code)
	r, known := a.answers[name]
	schema := r.bodies[got.Header().Get("Content-Type")]
	if !known || schema == nil {
		return fmt.Errorf("%s, %q: not documented: %s", name, got.Header(), got.Body)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(got.Body.Bytes()))
	if err = errors.Join(err, schema.Validate(value)); err != nil {
		return fmt.Errorf("%s: %s: %w", name, got.Body, err)
	}
	for header, rule := range r.headers {
		text := got.Header().Get(header)
		if text == "" {
			if slices.Contains(r.required, header) {
				return fmt.Errorf("%s: no %s", name, header)
			}
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
	a := loadAPI(t)
	const plain, problem = "application/json", "application/problem+json"
	const stored = `{"eventId":"e-1","topic":"t","partition":1,"offset":2,"timestamp":3`
	const busy = `{"type":"urn:userrelay:problem:busy","title":"x","status":503,"detail":"x"}`
	for name, tt := range map[string]struct {
		status                      int
		mediaType, retryAfter, body string
		ok                          bool
	}{
		"documented":     {200, plain, "", stored + `}`, true},
		"a member more":  {200, plain, "", stored + `,"key":"x"}`, false},
		"a member less":  {200, plain, "", `{"eventId":"e-1"}`, false},
		"a wrong type":   {200, plain, "", strings.Replace(stored, "1,", `"1",`, 1) + `}`, false},
		"a status":       {201, plain, "", stored + `}`, false},
		"a media type":   {200, "text/plain", "", stored + `}`, false},
		"a problem":      {400, problem, "", `{"type":"urn:userrelay:problem:new","title":"x","status":400,"detail":"x"}`, false},
		"when to repeat": {503, problem, "", busy, false},
		"and with it":    {503, problem, "1", busy, true},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", tt.mediaType)
		if tt.retryAfter != "" {
			w.Header().Set("Retry-After", tt.retryAfter)
		}
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
		body, err := json.Marshal(object(t, example)["value"])
		if err != nil {
			t.Fatal(err)
		}
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
	record, w := posted(t, registration.Decoder{Profile: payload["user"] != nil}, body)
	if record == nil {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return *record
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
