package simulation_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userrelay/test/simulation"
)

// The rows of the judge are those of docs/guarantees.md.
func TestRowsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			documented = append(documented, name)
		}
	}
	if got, want := strings.Join(documented, " "), strings.Join(simulation.Rows(), " "); got != want {
		t.Errorf("docs/guarantees.md has the rows %q, the judge has %q", got, want)
	}
}
