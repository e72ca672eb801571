// Package contract_test validates the program's answers and records against the published documents.
package contract_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"userrelay/handler/registration"
)

// published returns the text of a file below docs.
func published(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tree is a published document; JSON is YAML, too.
func tree(t *testing.T, name string) map[string]any {
	t.Helper()
	var root map[string]any
	if err := yaml.Unmarshal(published(t, name), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

func object(t *testing.T, value any) map[string]any {
	t.Helper()
	o, ok := value.(map[string]any)
	if !ok {
		t.Fatalf("%v is not an object", value)
	}
	return o
}

// at follows names through a document and its references.
func at(t *testing.T, root map[string]any, path ...string) any {
	t.Helper()
	var value any = root
	for _, name := range path {
		found, ok := object(t, value)[name]
		if !ok {
			t.Fatalf("nothing at %v", path)
		}
		value = resolved(t, root, found)
	}
	return value
}

func resolved(t *testing.T, root map[string]any, value any) any {
	t.Helper()
	if o, ok := value.(map[string]any); ok {
		if ref, ok := o["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
			return at(t, root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return value
}

// contract is the description of a record in asyncapi.yaml.
type contract struct {
	headers, payload, key *jsonschema.Schema
	values                map[string]*jsonschema.Schema // by ce_dataschema
}

// loadContract reads the contract. The document permits members and headers that a later version may add, but this
// version may use only documented ones.
func loadContract(t *testing.T) contract {
	t.Helper()
	const file, valueFile = "file:///asyncapi.yaml", "file:///schemas/user.created.1.json"
	root, value := tree(t, "asyncapi.yaml"), tree(t, "schemas/user.created.1.json")
	value["additionalProperties"] = false
	object(t, at(t, root, "components", "schemas", "Headers"))["additionalProperties"] = false
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for url, resource := range map[string]any{file: root, valueFile: value} {
		if err := c.AddResource(url, resource); err != nil {
			t.Fatal(err)
		}
	}
	compile := func(url string) *jsonschema.Schema {
		s, err := c.Compile(url)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	urn, ok := value["$id"].(string)
	if !ok {
		t.Fatal("the schema of the value has no $id")
	}
	const message = file + "#/components/messages/UserCreated/"
	return contract{
		headers: compile(message + "headers"), payload: compile(message + "payload"), key: compile(message + "bindings/kafka/key"),
		values: map[string]*jsonschema.Schema{urn: compile(valueFile)},
	}
}

// hold validates a record against the document, and its value against the schema that the record names.
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
	urn, _ := headers["ce_dataschema"].(string)
	schema := c.values[urn]
	if schema == nil {
		t.Errorf("no schema is published under %q", urn)
		return
	}
	for what, err := range map[string]error{
		"headers": c.headers.Validate(headers),
		"payload": c.payload.Validate(value),
		urn:       schema.Validate(value),
		"key":     c.key.Validate(string(r.Key)),
	} {
		if err != nil {
			t.Errorf("%s of %q:\n%v", what, r.Key, err)
		}
	}
}
