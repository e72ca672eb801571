// Package contract_test holds what the program answers and stores against the documents that others build on.
package contract_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/test/quiet"
)

// document is one of the published documents.
type document struct {
	t    *testing.T
	root map[string]any
	name string
	c    *jsonschema.Compiler
}

func load(t *testing.T, name string) *document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{t: t, name: name, c: jsonschema.NewCompiler()}
	d.c.AssertFormat()
	if err := d.c.AddResource("file:///"+name, resource); err != nil {
		t.Fatal(err)
	}
	var ok bool
	if d.root, ok = resource.(map[string]any); !ok {
		t.Fatalf("%s: not an object", name)
	}
	return d
}

// at follows a path of names through the document and its references.
func (d *document) at(path ...string) (value any, pointer string) {
	d.t.Helper()
	value, pointer = d.root, "#"
	for _, name := range path {
		object, ok := value.(map[string]any)
		if !ok || object[name] == nil {
			d.t.Fatalf("%s: nothing at %s/%s", d.name, pointer, name)
		}
		value, pointer = object[name], pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if object, ok := value.(map[string]any); ok {
			if ref, ok := object["$ref"].(string); ok {
				value, pointer = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			}
		}
	}
	return value, pointer
}

// validate holds a JSON text against the schema at the path.
func (d *document) validate(text []byte, path ...string) {
	d.t.Helper()
	_, pointer := d.at(path...)
	schema, err := d.c.Compile("file:///" + d.name + pointer)
	if err != nil {
		d.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		d.t.Fatalf("%s: %v", text, err)
	}
	if err := schema.Validate(value); err != nil {
		d.t.Errorf("%s\nis not what %s says at %s:\n%v", text, d.name, pointer, err)
	}
}

// store is a Kafka that answers as it is told, and keeps the record.
type store struct {
	err    error
	record registration.Record
}

func (s *store) Produce(_ context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	s.record = r
	return delivery.RecordMetadata{Topic: "user-events", Partition: 3, Offset: 42, Timestamp: time.UnixMilli(1_795_560_934_590)}, s.err
}

func (s *store) Check(context.Context) error { return s.err }

// outbox keeps what it is given.
type outbox struct{ quiet.Outbox }

func (outbox) Put(context.Context, registration.Envelope, time.Duration) (delivery.Kept, error) {
	return delivery.Kept{Queue: "userrelay-outbox", ID: "800ae4b3-bdd2-4c08-badd-f08e5a34b865", Receipt: "x"}, nil
}

// app is the handler, with an outbox or without.
func app(t *testing.T, s *store, o relay.Outbox) http.Handler {
	t.Helper()
	return appWith(t, s, o, registration.Decoder{Profile: true})
}

func appWith(t *testing.T, s *store, o relay.Outbox, d registration.Decoder) http.Handler {
	t.Helper()
	r := relay.New(relay.Config{Producer: s, Outbox: o, Observer: quiet.Observer{}, KafkaTimeout: time.Second, OutboxTimeout: time.Second})
	t.Cleanup(func() { r.Close(context.Background()) })
	return functions.New(functions.Config{
		Decoder: d, Deliver: r, Drain: r, Kafka: s, Observer: quiet.Observer{},
		Build: func() functions.Build {
			return functions.Build{Commit: "c51b745+changed", SHA256: strings.Repeat("0a", 32)}
		},
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	doc := load(t, "openapi.yaml")
	down := func(c delivery.Class) error {
		return &delivery.Error{Class: c, Op: "produce", Err: errors.New("for the test")}
	}
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
		app(t, &store{err: tt.err}, nil).ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d", name, w.Code, tt.status)
			continue
		}
		method := strings.ToLower(tt.method)
		if tt.path == "/RegisterUser" {
			method = "post" // where other methods are described, too
		}
		status := strconv.Itoa(w.Code)
		doc.validate(w.Body.Bytes(), "paths", tt.path, method, "responses", status, "content", w.Header().Get("Content-Type"), "schema")
		if w.Code == 503 && tt.path == "/RegisterUser" {
			doc.validate([]byte(w.Header().Get("Retry-After")), "paths", tt.path, method, "responses", status, "headers", "Retry-After", "schema")
		}
	}
}

// TestRepeats holds the answers to a repeat, in Kafka and in the outbox, and to a stolen id.
func TestRepeats(t *testing.T) {
	t.Parallel()
	doc := load(t, "openapi.yaml")
	for status, err := range map[int]error{200: nil, 202: &delivery.Error{Class: delivery.Unavailable, Op: "produce"}} {
		h := app(t, &store{err: err}, outbox{})
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
			answer := []string{"paths", "/RegisterUser", "post", "responses", strconv.Itoa(want)}
			doc.validate(w.Body.Bytes(), append(answer, "content", w.Header().Get("Content-Type"), "schema")...)
			replayed := w.Header().Get("Idempotency-Replayed")
			if (replayed != "") != (i == 1) {
				t.Errorf("request %d: Idempotency-Replayed = %q", i, replayed)
			}
			if replayed != "" {
				doc.validate([]byte(`"`+replayed+`"`), append(answer, "headers", "Idempotency-Replayed", "schema")...)
			}
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	doc := load(t, "asyncapi.yaml")
	openapi := load(t, "openapi.yaml")
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
		app(t, s, nil).ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("%s: status %d: %s", name, w.Code, w.Body)
			continue
		}
		openapi.validate([]byte(body), "components", "schemas", "Registration")
		headers := map[string]string{}
		for _, h := range s.record.Headers {
			headers[h.Key] = h.Value
		}
		asJSON, err := json.Marshal(headers)
		if err != nil {
			t.Fatal(err)
		}
		message := []string{"channels", "userEvents", "messages", "userCreated"}
		doc.validate(asJSON, append(message, "headers")...)
		doc.validate(s.record.Value, append(message, "payload")...)
		key, err := json.Marshal(string(s.record.Key))
		if err != nil {
			t.Fatal(err)
		}
		doc.validate(key, append(message, "bindings", "kafka", "key")...)
	}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	doc := load(t, "openapi.yaml")
	examples, _ := doc.at("paths", "/RegisterUser", "post", "requestBody", "content", "application/json", "examples")
	found, ok := examples.(map[string]any)
	if !ok || len(found) == 0 {
		t.Fatal("no examples")
	}
	for name, example := range found {
		object, ok := example.(map[string]any)
		if !ok {
			t.Fatalf("%s: not an object", name)
		}
		value, err := json.Marshal(object["value"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (registration.Decoder{}).Decode(registration.Body{Reader: bytes.NewReader(value)}, "", time.Now()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
