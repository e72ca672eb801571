package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestQuick runs everything except Apache Kafka for a short time: run itself fails if an answer is not 200, or if a
// topic holds fewer records than were answered.
func TestQuick(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "b.md")
	var progress bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-out", page}, "", &progress, t.Output()); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	made, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Command: `go run ./test/bench -quick", `\| 8 callers, gzip \|`, `\| 200/s \| –`,
		`\| net/http alone \| In-process broker \| \d+ \| 0 \| – \| – \| `,
		`\| userrelay, telemetry on \| 5 ms broker \| \d+ \| 0 \| \d+ \| [1-9]\d* \| `, // items arrive and are counted
	} {
		if !regexp.MustCompile(want).Match(made) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	// A load of callers and one with gzip; one rate; a start. Each with its relays.
	for stage, want := range map[string]int{"In-process broker": 2 * 5, "5 ms broker": 5, "Start": 4, "Apache Kafka: left out": 1} {
		if n := strings.Count("\n"+progress.String(), "\n"+stage); n != want {
			t.Errorf("%d measurements of %s, want %d", n, stage, want)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", &progress, made)
	}
}

// A quick run writes a page only where it is told to.
func TestFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  []string
		fails bool
		out   string
	}{
		{nil, false, filepath.Join("docs", "benchmarks.md")},
		{[]string{"-quick"}, false, ""},
		{[]string{"-quick", "-out", "x.md"}, false, "x.md"},
		{[]string{"-out="}, false, ""},
		{[]string{"-rounds=0"}, true, ""},
		{[]string{"-d=0s"}, true, ""},
		{[]string{"fast"}, true, ""},
	} {
		if o, err := parse(c.args, io.Discard); (err != nil) != c.fails || err == nil && o.out != c.out {
			t.Errorf("%q: page %q, error %v", c.args, o.out, err)
		}
	}
}
