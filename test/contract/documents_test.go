// Package contract_test validates the program's answers and records against the published documents.
package contract_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

const moduleRoot = "../.."

// read returns the text of a file of this repository.
func read(t *testing.T, name string) string {
	t.Helper()
	return string(must.Get[[]byte](t)(os.ReadFile(filepath.Join(moduleRoot, filepath.FromSlash(name)))))
}

// tree is a document below docs, with what its own references name in their place. JSON is YAML, too.
func tree(t *testing.T, name string) map[string]any {
	t.Helper()
	var root map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "docs/"+name)), &root); err != nil {
		t.Fatal(err)
	}
	inline(t, root, root)
	return root
}

// inline puts into a value what its references name. What several references name stays one object.
func inline(t *testing.T, root map[string]any, value any) any {
	t.Helper()
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = inline(t, root, v[i])
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
			return inline(t, root, at(t, root, strings.Split(ref, "/")[1:]...))
		}
		for name := range v {
			v[name] = inline(t, root, v[name])
		}
	}
	return value
}

func object(t *testing.T, value any) map[string]any {
	t.Helper()
	o, ok := value.(map[string]any)
	if !ok {
		t.Fatalf("%v is not an object", value)
	}
	return o
}

// at follows names through objects.
func at(t *testing.T, value any, path ...string) any {
	t.Helper()
	for _, name := range path {
		found, ok := object(t, value)[name]
		if !ok {
			t.Fatalf("nothing at %v", path)
		}
		value = found
	}
	return value
}

// schemas compiles schemas of a document, by the path of each. other is a document that it refers to, or nil.
func schemas(t *testing.T, root, other map[string]any) func(path ...string) *jsonschema.Schema {
	t.Helper()
	const file = "file:///document.yaml"
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	for url, resource := range map[string]map[string]any{file: root, "file:///schemas/user.created.1.json": other} {
		if err := c.AddResource(url, resource); err != nil {
			t.Fatal(err)
		}
	}
	return func(path ...string) *jsonschema.Schema {
		pointer := strings.NewReplacer("/", "~1", "\n", "/").Replace(strings.Join(path, "\n"))
		return must.Get[*jsonschema.Schema](t)(c.Compile(file + "#/" + pointer))
	}
}

// contract is the description of a record in asyncapi.yaml.
type contract struct{ headers, payload, key *jsonschema.Schema }

// loadContract reads the contract. The document permits members and headers that a later version may add, but this
// version may use only documented ones. The headers name the schema of the value.
func loadContract(t *testing.T) contract {
	t.Helper()
	root, value := tree(t, "asyncapi.yaml"), tree(t, "schemas/user.created.1.json")
	if value["$id"] != registration.Schema {
		t.Errorf("the schema of the value is %v, and records name %s", value["$id"], registration.Schema)
	}
	value["additionalProperties"] = false
	object(t, at(t, root, "components", "schemas", "Headers"))["additionalProperties"] = false
	compiled, message := schemas(t, root, value), []string{"components", "messages", "UserCreated"}
	return contract{
		headers: compiled(append(message, "headers")...), payload: compiled(append(message, "payload")...),
		key: compiled(append(message, "bindings", "kafka", "key")...),
	}
}

// hold validates a record against the document.
func (c contract) hold(t *testing.T, r registration.Record) {
	t.Helper()
	headers := map[string]any{}
	for _, h := range r.Headers {
		if headers[h.Key] != nil {
			t.Errorf("the header %s stands twice", h.Key)
		}
		headers[h.Key] = h.Value
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.Value))
	if err != nil {
		t.Errorf("%s: %v", r.Value, err)
		return
	}
	for what, err := range map[string]error{
		"headers": c.headers.Validate(headers), "payload": c.payload.Validate(value), "key": c.key.Validate(string(r.Key)),
	} {
		if err != nil {
			t.Errorf("%s of %q:\n%v", what, r.Key, err)
		}
	}
}

// TestEveryMember sets each member of an event: it must be in the record, also after the outbox, the record must be as
// the documents say, and the page must name its headers. Otherwise a member that a form omits would be lost silently. The
// members that concern only the request and are not stored are listed here.
func TestEveryMember(t *testing.T) {
	t.Parallel()
	ofTheRequest := map[string]bool{"Chosen": true, "TenantLeftOut": true}
	document, page := loadContract(t), read(t, "docs/event.md")
	trace := []registration.Header{{Key: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}, {Key: "tracestate", Value: "acme=1"}}
	base := registration.Event{ID: "e-1", UserID: "auth0|1", Source: "urn:auth0:acme", Time: time.Unix(1, 0)}
	members := reflect.TypeFor[registration.Event]()
	for i := range members.NumField() {
		name, changed := members.Field(i).Name, base
		change(t, name, reflect.ValueOf(&changed).Elem().Field(i))
		record := changed.Record(trace...)
		document.hold(t, record)
		for _, h := range record.Headers {
			if !strings.Contains(page, "`"+h.Key+"`") {
				t.Errorf("docs/event.md does not name the header %s", h.Key)
			}
		}
		if cmp.Equal(base.Record(trace...), record) != ofTheRequest[name] {
			t.Errorf("%s is not in the record, or is said not to be", name)
		}
		m, err := registration.ParseEnvelope(registration.Envelope{Event: changed, Queued: time.Unix(2, 0)}.Encode())
		if diff := cmp.Diff(record, m.Event.Record(trace...)); err != nil || diff != "" {
			t.Errorf("%s does not come through the outbox: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// change sets a member to another value.
func change(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case string:
		v.SetString("another")
	case bool:
		v.SetBool(true)
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(3, 0)))
	case []byte:
		v.SetBytes([]byte(`{"name":"ż"}`))
	default:
		t.Fatalf("%s: a member of type %s, which this test does not know", name, v.Type())
	}
}
