package registration

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// lenient reads anything that is JSON (RFC 8259) in bytes that are known to be UTF-8. Beyond the decoder's default it
// lets duplicate names and escaped lone surrogates pass; members that must not have them are checked by name.
func lenient() []jsontext.Options {
	return []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
}

// members are the known members of one JSON object.
type members struct {
	path  string // of the object, with a dot at its end, for errors
	known [maxKnown]member
	n     int // of them
}

// maxKnown is how many members of one object are known at most. An array lies on the stack.
const maxKnown = 15

type member struct {
	name  string
	value jsontext.Value // nil where absent or null; else a part of what was read
	count int
}

// readMembers reads the object raw, called path in errors, and keeps the members that are known.
func readMembers(path string, raw []byte, known ...string) (members, error) {
	m := members{path: path, n: len(known)}
	for i, name := range known {
		m.known[i].name = name
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), lenient()...)
	if dec.PeekKind() != jsontext.KindBeginObject {
		return m, m.notObject()
	}
	if _, err := dec.ReadToken(); err != nil {
		return m, errNotJSON()
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return m, errNotJSON()
		}
		known := m.find(name.String())
		value, err := dec.ReadValue()
		if err != nil {
			return m, errNotJSON()
		}
		if known == nil {
			continue
		}
		known.count++
		if end := int(dec.InputOffset()); value.Kind() != jsontext.KindNull {
			known.value = raw[end-len(value) : end] // value itself is only good until the next read
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return m, errNotJSON()
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return m, &InvalidError{"body", "must be one JSON object with nothing after it"}
	}
	return m, nil
}

func errNotJSON() error { return &InvalidError{"body", "must be JSON"} }

func (m *members) notObject() error {
	if m.path == "" {
		return &InvalidError{"body", "must be a JSON object"}
	}
	return &InvalidError{m.path[:len(m.path)-1], "must be a JSON object"}
}

func (m *members) find(name string) *member {
	for i := range m.known[:m.n] {
		if m.known[i].name == name {
			return &m.known[i]
		}
	}
	return nil
}

// value returns a member's JSON text, or nil where it is absent or null.
func (m *members) value(name string) jsontext.Value {
	if f := m.find(name); f != nil {
		return f.value
	}
	return nil
}

func (m *members) has(name string) bool { return m.value(name) != nil }

// once refuses an object in which one of the names stands more than once.
func (m *members) once(names ...string) error {
	for _, name := range names {
		if f := m.find(name); f != nil && f.count > 1 {
			return &InvalidError{m.path + name, "must stand there once"}
		}
	}
	return nil
}

// text returns a member that must be a string, or "" where it is absent.
func (m *members) text(name string) (string, error) {
	v := m.value(name)
	if v == nil {
		return "", nil
	}
	if v.Kind() != jsontext.KindString {
		return "", &InvalidError{m.path + name, "must be a string"}
	}
	s, err := jsontext.AppendUnquote(nil, []byte(v))
	if err != nil { // a lone surrogate
		return "", &InvalidError{m.path + name, "must be Unicode text"}
	}
	return string(s), nil
}

// lenientText returns a member of a profile: "" where it is not a sound string that stands there once.
func (m *members) lenientText(name string) string {
	s, err := m.text(name)
	if err != nil || m.once(name) != nil {
		return ""
	}
	return s
}

// userID returns the member that holds the user id.
func (m *members) userID(name string) (string, error) {
	if err := m.once(name); err != nil {
		return "", err
	}
	if !m.has(name) {
		return "", &InvalidError{m.path + name, "is missing"}
	}
	s, err := m.text(name)
	if err != nil || !validUserID(s) {
		return "", &InvalidError{m.path + name, userIDRule()}
	}
	return s, nil
}
