package contract_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// generator makes registrations from the document: it changes its examples in places, with the names that its schemas
// have, and with values of all kinds. The same seed gives the same ones.
type generator struct {
	*rand.Rand

	t        *testing.T
	examples [][]byte
	names    []string
}

func newGenerator(t *testing.T, root map[string]any, seed uint64) generator {
	t.Helper()
	g := generator{Rand: rand.New(rand.NewPCG(1, seed)), t: t}
	examples := object(t, at(t, root, "paths", "/RegisterUser", "post", "requestBody", "content", "application/json", "examples"))
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		g.examples = append(g.examples, text(t, object(t, examples[name])["value"]))
	}
	names := map[string]bool{}
	propertyNames(at(t, root, "components", "schemas"), names)
	g.names = slices.Sorted(maps.Keys(names))
	return g
}

// propertyNames collects the names of properties in schemas.
func propertyNames(in any, names map[string]bool) {
	switch v := in.(type) {
	case []any:
		for _, part := range v {
			propertyNames(part, names)
		}
	case map[string]any:
		properties, _ := v["properties"].(map[string]any)
		for name := range properties {
			names[name] = true
		}
		for _, part := range v {
			propertyNames(part, names)
		}
	}
}

// body makes a registration: an example as it is, or one that is changed in up to four places.
func (g generator) body() []byte {
	var v any
	if err := json.Unmarshal(pick(g, g.examples...), &v); err != nil {
		g.t.Error(err)
	}
	for range pick(g, 0, 0, 1, 1, 2, 4) {
		v = g.changed(v)
	}
	return text(g.t, v)
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// changed changes a value in one place: a member is missing, or another value, also inside a profile that is a text.
func (g generator) changed(v any) any {
	o, ok := v.(map[string]any)
	if !ok || g.IntN(20) == 0 {
		return g.value(2)
	}
	name := pick(g, g.names...)
	if names := slices.Sorted(maps.Keys(o)); len(names) > 0 && g.IntN(2) == 0 {
		name = pick(g, names...)
	}
	inner, nested := o[name].(map[string]any)
	profile, _ := o[name].(string)
	switch {
	case nested && g.IntN(2) == 0:
		o[name] = g.changed(inner)
	case strings.HasPrefix(profile, "{") && json.Unmarshal([]byte(profile), &inner) == nil && g.IntN(2) == 0:
		o[name] = string(text(g.t, g.changed(inner)))
	case g.IntN(3) == 0:
		delete(o, name)
	default:
		o[name] = g.value(2)
	}
	return o
}

// value makes a JSON value, with nested ones up to a depth.
func (g generator) value(depth int) any {
	switch n := g.IntN(12); {
	case n == 0:
		return nil
	case n == 1:
		return g.IntN(2) == 0
	case n == 2:
		return pick[any](g, g.NormFloat64(), g.IntN(1000)-500)
	case n == 3:
		return strings.Repeat("x", pick(g, 1, 127, 128, 129, 1023, 1024, 1025, 3000))
	case n == 4:
		return strings.Repeat(" ", g.IntN(3))
	case n == 5:
		return pick(g, "acme", "user.created", "2026-11-21T19:00:00.123Z", "auth0|1", "evt_1")
	case n == 6 && depth > 0:
		return []any{g.value(depth - 1)}
	case n < 9 && depth > 0:
		out := map[string]any{}
		for range g.IntN(3) {
			out[pick(g, g.word(), pick(g, g.names...))] = g.value(depth - 1)
		}
		return out
	default:
		return g.word()
	}
}

// word makes a text with all kinds of characters.
func (g generator) word() string {
	all := []rune("abcdefghijklmnopqrstuvwxyzABC0123456789._-|:/@ \t\n\x00\x1b\"\\<>&é山\u00a0\u200b\u202e🎉")
	var b strings.Builder
	for range g.IntN(12) {
		b.WriteRune(pick(g, all...))
	}
	return b.String()
}

// text returns a value's JSON text.
func text(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
