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

	"userrelay/test/must"
)

// generator makes values for schemas, and breaks them. The same seed gives the same values.
type generator struct {
	*rand.Rand

	t *testing.T
}

func newGenerator(t *testing.T, seed uint64) generator {
	t.Helper()
	return generator{rand.New(rand.NewPCG(1, seed)), t}
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// flat merges the branches and conditions of a schema into one schema. It selects branches at random.
func (g generator) flat(from any) map[string]any {
	in, _ := from.(map[string]any)
	out := map[string]any{}
	for _, word := range slices.Sorted(maps.Keys(in)) {
		switch v := in[word]; word {
		case "allOf":
			for _, branch := range list(v) {
				merge(out, g.flat(branch))
			}
		case "anyOf", "oneOf":
			merge(out, g.flat(pick(g, list(v)...)))
		case "if":
			if in["anyOf"] == nil && g.IntN(4) > 0 { // else the branch is chosen by now
				merge(out, g.flat(v))
				merge(out, g.flat(in["then"]))
			}
		case "then", "else", "not", "description":
		default:
			merge(out, map[string]any{word: v})
		}
	}
	return out
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// merge adds the requirements of another schema. A member of both must satisfy both.
func merge(to, from map[string]any) {
	for word, v := range from {
		switch word {
		case "properties":
			before, _ := to[word].(map[string]any)
			added, _ := v.(map[string]any)
			both := maps.Clone(added)
			for name, rule := range before {
				if more, ok := both[name]; ok {
					rule = map[string]any{"allOf": []any{rule, more}}
				}
				both[name] = rule
			}
			to[word] = both
		case "required":
			to[word] = slices.Concat(list(to[word]), list(v))
		default:
			to[word] = v
		}
	}
}

// body makes a registration: more than half of them are valid by the schema, the others are broken in one place.
func (g generator) body(form any) []byte {
	v := g.value(form)
	if g.IntN(10) < 4 {
		v = g.broken(v)
	}
	return text(g.t, v)
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

func (g generator) object(s map[string]any) map[string]any {
	properties, _ := s["properties"].(map[string]any)
	out := g.members(2)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if slices.Contains(list(s["required"]), any(name)) || g.IntN(2) == 0 {
			out[name] = g.value(properties[name])
		}
	}
	return out
}

// members makes an object of any members.
func (g generator) members(depth int) map[string]any {
	out := map[string]any{}
	for range g.IntN(3) {
		out[g.word()] = g.anything(depth)
	}
	return out
}

// text makes a string that satisfies the schema, sometimes the longest one.
func (g generator) text(s map[string]any) string {
	out := g.word()
	if pattern, ok := s["pattern"].(string); ok {
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			g.t.Error(err)
			return out
		}
		if out = string(g.matching(nil, re)); strings.HasPrefix(pattern, "[") {
			out = g.word() + out + g.word()
		}
	}
	if most, ok := s["maxLength"].(int); ok && g.IntN(20) == 0 {
		out += strings.Repeat("x", max(0, most-len(out)))
	}
	return out
}

// matching appends a text that a regular expression matches.
func (g generator) matching(out []byte, re *syntax.Regexp) []byte {
	switch re.Op {
	case syntax.OpLiteral:
		return append(out, string(re.Rune)...)
	case syntax.OpCharClass:
		for {
			i := g.IntN(len(re.Rune)/2) * 2
			r := re.Rune[i] + g.Int32N(re.Rune[i+1]-re.Rune[i]+1)
			if r <= '~' && g.IntN(2) == 0 || utf8.ValidRune(r) {
				return utf8.AppendRune(out, r)
			}
		}
	case syntax.OpRepeat:
		for range re.Min + g.IntN(re.Max-re.Min+1) {
			out = g.matching(out, re.Sub[0])
		}
		return out
	case syntax.OpAlternate:
		return g.matching(out, pick(g, re.Sub...))
	default: // a concatenation, a group, or what matches nothing
		for _, sub := range re.Sub {
			out = g.matching(out, sub)
		}
		return out
	}
}

// word makes a text with all kinds of characters.
func (g generator) word() string {
	all := []rune("abcdefghijklmnopqrstuvwxyzABC0123456789._-|:/@ \t\n\x00\x1b\"\\<>&é山\u00a0\u200b\u202e🎉")
	out := make([]rune, g.IntN(12))
	for i := range out {
		out[i] = pick(g, all...)
	}
	return string(out)
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
		return g.members(depth - 1)
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
	return must.Get[[]byte](t)(json.Marshal(v, json.Deterministic(true)))
}
