package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userrelay/test/drill/report"
)

// A new page keeps what people added to the last one, and a run that is asked for none writes none.
func TestWrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.md")
	r := &report.Run{Command: "go run ./test/drill"}
	if err := write(r, options{}); err != nil {
		t.Fatal(err)
	}
	if err := write(r, options{out: file}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const notes = "By hand."
	if err := os.WriteFile(file, append(page, []byte("\n"+notes+"\n")...), 0o600); err != nil { //nolint:gosec // G703: a file of the test
		t.Fatal(err)
	}
	r.Machine = "another machine"
	if err := write(r, options{out: file}); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(again); !strings.Contains(got, r.Machine) || !strings.HasSuffix(got, report.NotesMark+"\n\n"+notes+"\n") {
		t.Errorf("page:\n%s", got)
	}
}
