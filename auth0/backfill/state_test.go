package main

import (
	"errors"
	"strings"
	"testing"

	"userrelay/test/must"
)

const someID = "a0pur_0123456789abcdef0123456789abcdef"

// TestState reads and continues the file that a run leaves, including a killed one. A file with other content is refused,
// and not changed.
func TestState(t *testing.T) {
	t.Parallel()
	for text, after := range map[string]string{
		"":                      "",
		someID + "\n":           someID + "\n",
		someID + "\r\n":         someID + "\r\n", // from Windows
		someID + "\na0pur_0123": someID + "\n",
		"a0p":                   "",
		someID:                  "",
	} {
		path, other := file(t, text), strings.Replace(someID, "0123", "4567", 1)
		s := must.Get[*state](t)(openState(path))
		if got := s.has(someID); got != (after != "") {
			t.Errorf("%q: has: %v", text, got)
		}
		if err := errors.Join(s.add(other), s.close()); err != nil || !s.has(other) {
			t.Errorf("%q: add: %v", text, err)
		}
		if got := content(t, path); got != after+other+"\n" {
			t.Errorf("%q has become %q", text, got)
		}
	}
	for _, text := range []string{exportOf(1), "x", "a0pur_\n", someID + "\nx\n", someID + someID, someID + "\n\n", "a0pur_" + strings.Repeat("0", 33)} {
		name, f := file(t, text), &target{}
		f.send(t, exportOf(1), "-state", name, "-").says(t, 2,
			"backfill: read the state: the file has other content; use a state file of this program, or a new one")
		if f.got(t); content(t, name) != text {
			t.Errorf("%q has become %q", text, content(t, name))
		}
	}
}
