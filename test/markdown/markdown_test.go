package markdown_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/test/markdown"
	"userrelay/test/must"
)

// TestUpdate writes a page, adds text to it, and writes the page again with other figures.
func TestUpdate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.md")
	const mark, notes = "\n<!-- What follows this line is kept by `make x`. -->\n", "\nBy hand.\n\n## More\n"
	for _, step := range []struct{ figure, kept, add string }{{"7", "", notes}, {"8", notes, ""}, {"8", notes, ""}} {
		var p markdown.Page
		p.Text("# Title")
		p.Heading("Part")
		p.List("one", "two")
		table := new(markdown.Table).Text("what").Figures("n").Text("held")
		p.Table(table) // without rows
		table.Row("a|b", step.figure, "yes")
		p.Table(table)
		want := "# Title\n\n## Part\n\n* one\n* two\n\n| what | n | held |\n| --- | ---: | --- |\n| a\\|b | " + step.figure + " | yes |\n"
		if diff := cmp.Diff(want, p.String()); diff != "" {
			t.Errorf("page (-want +got):\n%s", diff)
		}
		if err := p.Update(file, "make x"); err != nil {
			t.Fatal(err)
		}
		got := must.Get[[]byte](t)(os.ReadFile(file))
		if diff := cmp.Diff(want+mark+step.kept, string(got)); diff != "" {
			t.Errorf("file (-want +got):\n%s", diff)
		}
		if err := os.WriteFile(file, append(got, step.add...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := new(markdown.Page).Update(t.TempDir(), "make x"); err == nil {
		t.Error("a folder was taken for a page")
	}
}
