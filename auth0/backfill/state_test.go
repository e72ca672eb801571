package main

import (
	"os"
	"strings"
	"testing"
)

const someID = "a0pur_0123456789abcdef0123456789abcdef"

// TestState reads the file that a run leaves, including a killed one.
func TestState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, after string }{
		"empty":     {"", ""},
		"one":       {someID + "\n", someID + "\n"},
		"Windows":   {someID + "\r\n", someID + "\r\n"},
		"half more": {someID + "\na0pur_0123", someID + "\n"},
		"half":      {"a0p", ""},
		"no end":    {someID, ""},
	} {
		path := file(t, c.text)
		s, err := openState(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := s.has(someID); got != strings.Contains(c.after, someID) {
			t.Errorf("%s: has: %v", name, got)
		}
		other := strings.Replace(someID, "0123", "4567", 1)
		if err := s.add(other); err != nil || !s.has(other) {
			t.Errorf("%s: add: %v", name, err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != c.after+other+"\n" {
			t.Errorf("%s: got %q (%v)", name, text, err)
		}
	}
}

// TestForeignState shows that a file with other content is not changed.
func TestForeignState(t *testing.T) {
	t.Parallel()
	for _, text := range []string{exportOf(1), "x", "a0pur_\n", someID + "\nx\n", someID + someID, someID + "\n\n", "a0pur_" + strings.Repeat("0", 33)} {
		name := file(t, text)
		f := &target{}
		r := f.send(t, exportOf(1), "-state", name, "-")
		if r.code != 2 || !strings.Contains(r.stderr, "the file holds something else") || len(f.posts) > 0 {
			t.Errorf("%q: got exit code %d and %d requests\n%s", text, r.code, len(f.posts), r.stderr)
		}
		if after, err := os.ReadFile(name); err != nil || string(after) != text {
			t.Errorf("%q has become %q (%v)", text, after, err)
		}
	}
}
