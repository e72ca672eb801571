package contract_test

import (
	"maps"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// generator makes values for the schemas of a document, and breaks them. The same seed gives the same values.
type generator struct {
	*rand.Rand

	t    *testing.T
	root map[string]any
}

func newGenerator(t *testing.T, root map[string]any, seed uint64) generator {
	t.Helper()
	return generator{rand.New(rand.NewPCG(1, seed)), t, root}
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// body makes a registration: more than half of them are valid by the schema, the others are broken in one place.
func (g generator) body() []byte {
	v := g.value(at(g.t, g.root, "components", "schemas", "Registration"))
	if g.IntN(10) < 4 {
		v = g.broken(v)
	}
	return text(g.t, v)
}

// schema is a schema without references and choices: one branch has been selected.
type schema map[string]any

// flat merges references, branches and conditions into one schema. It selects branches at random.
func (g generator) flat(from any) schema {
	in, ok := resolved(g.t, g.root, from).(map[string]any)
	if !ok {
		return schema{}
	}
	out := schema{}
	for _, word := range slices.Sorted(maps.Keys(in)) {
		switch v := in[word]; word {
		case "allOf":
			for _, branch := range list(v) {
				out.merge(g.flat(branch))
			}
		case "anyOf", "oneOf":
			branches := list(v)
			out.merge(g.flat(pick(g, branches...)))
		case "if":
			if in["anyOf"] == nil && g.IntN(4) > 0 { // else the branch is chosen by now
				out.merge(g.flat(v))
				out.merge(g.flat(in["then"]))
			}
		case "then", "else", "not", "description":
		default:
			out.merge(schema{word: v})
		}
	}
	return out
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// merge adds the requirements of another schema.
func (s schema) merge(with schema) {
	for word, v := range with {
		switch word {
		case "properties":
			s[word] = joined(s[word], v)
		case "required":
			s[word] = append(slices.Clone(list(s[word])), list(v)...)
		default:
			s[word] = v
		}
	}
}

// joined joins the properties of two schemas. A member of both must satisfy both.
func joined(a, b any) map[string]any {
	out := map[string]any{}
	for _, properties := range []any{a, b} {
		from, _ := properties.(map[string]any)
		for name, v := range from {
			if before, ok := out[name]; ok {
				v = map[string]any{"allOf": []any{before, v}}
			}
			out[name] = v
		}
	}
	return out
}

// value makes a value that satisfies the schema.
func (g generator) value(from any) any {
	s := g.flat(from)
	if v, ok := s["const"]; ok {
		return v
	}
	if enum := list(s["enum"]); enum != nil {
		return pick(g, enum...)
	}
	kind, _ := s["type"].(string)
	if kinds := list(s["type"]); kinds != nil {
		kind, _ = pick(g, kinds...).(string)
	}
	switch {
	case kind == "object", kind == "" && s["properties"] != nil:
		return g.object(s)
	case kind == "null":
		return nil
	case s["contentSchema"] != nil:
		return string(text(g.t, g.value(s["contentSchema"])))
	case kind == "string", s["pattern"] != nil:
		return g.text(s)
	default:
		return g.anything(2)
	}
}

func (g generator) object(s schema) map[string]any {
	properties, _ := s["properties"].(map[string]any)
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if slices.Contains(list(s["required"]), any(name)) || g.IntN(2) == 0 {
			out[name] = g.value(properties[name])
		}
	}
	for range g.IntN(3) {
		out[g.word()] = g.anything(2)
	}
	return out
}

// text makes a string that satisfies the schema, sometimes the longest one.
func (g generator) text(s schema) string {
	out := g.word()
	if pattern, ok := s["pattern"].(string); ok {
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			g.t.Error(err)
			return out
		}
		if out = g.matching(re); strings.HasPrefix(pattern, "[") {
			out = g.word() + out + g.word()
		}
	}
	if most, ok := s["maxLength"].(int); ok && g.IntN(20) == 0 {
		out += strings.Repeat("x", max(0, most-len(out)))
	}
	return out
}

// matching makes a text that a regular expression matches.
func (g generator) matching(re *syntax.Regexp) string {
	var b strings.Builder
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for {
			i := g.IntN(len(re.Rune)/2) * 2
			r := re.Rune[i] + g.Int32N(re.Rune[i+1]-re.Rune[i]+1)
			if r <= '~' && g.IntN(2) == 0 || utf8.ValidRune(r) {
				return string(r)
			}
		}
	case syntax.OpRepeat, syntax.OpPlus, syntax.OpStar:
		least, most := re.Min, re.Max
		if re.Op != syntax.OpRepeat {
			least, most = 1, 10
		}
		for range least + g.IntN(most-least+1) {
			b.WriteString(g.matching(re.Sub[0]))
		}
	case syntax.OpAlternate:
		return g.matching(pick(g, re.Sub...))
	default: // a concatenation, a group, or what matches nothing
		for _, sub := range re.Sub {
			b.WriteString(g.matching(sub))
		}
	}
	return b.String()
}

// word makes a text with all kinds of characters.
func (g generator) word() string {
	const runes = "abcdefghijklmnopqrstuvwxyzABC0123456789._-|:/@ \t\n\x00\x1b\"\\<>&é山\u00a0\u200b\u202e🎉"
	all := []rune(runes)
	var b strings.Builder
	for range g.IntN(12) {
		b.WriteRune(pick(g, all...))
	}
	return b.String()
}

// anything makes a JSON value, with nested objects up to a depth.
func (g generator) anything(depth int) any {
	switch n := g.IntN(8); {
	case n == 0:
		return nil
	case n == 1:
		return g.IntN(2) == 0
	case n == 2:
		return g.NormFloat64()
	case n == 3:
		return g.IntN(1000) - 500
	case n == 4 && depth > 0:
		out := make([]any, g.IntN(3))
		for i := range out {
			out[i] = g.anything(depth - 1)
		}
		return out
	case n == 5 && depth > 0:
		out := map[string]any{}
		for range g.IntN(3) {
			out[g.word()] = g.anything(depth - 1)
		}
		return out
	default:
		return g.word()
	}
}

// broken breaks a value: a member is missing, null, of another type, too long, or blank.
func (g generator) broken(v any) any {
	o, ok := v.(map[string]any)
	if !ok || len(o) == 0 || g.IntN(20) == 0 {
		return g.instead()
	}
	names := slices.Sorted(maps.Keys(o))
	name := pick(g, names...)
	switch inner, nested := o[name].(map[string]any); {
	case nested && g.IntN(2) == 0:
		o[name] = g.broken(inner)
	case g.IntN(3) == 0:
		delete(o, name)
	default:
		o[name] = g.instead()
	}
	return o
}

func (g generator) instead() any {
	switch g.IntN(8) {
	case 0:
		return strings.Repeat("x", 1025+g.IntN(2000))
	case 1:
		return strings.Repeat(" ", g.IntN(3))
	default:
		return g.anything(2)
	}
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
