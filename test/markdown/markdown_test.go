package markdown_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/test/markdown"
	"userrelay/test/must"
)

func TestPage(t *testing.T) {
	t.Parallel()
	var p markdown.Page
	p.Text("# Title")
	p.Heading("Part")
	p.List("one", "two")
	table := new(markdown.Table).Text("what").Figures("n").Text("held")
	p.Table(table) // without rows
	table.Row("a|b", "7", "yes")
	p.Table(table)
	const want = "# Title\n\n## Part\n\n* one\n* two\n\n| what | n | held |\n| --- | ---: | --- |\n| a\\|b | 7 | yes |\n"
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}

// TestUpdate writes a page, adds text to it, and writes the page again with other figures.
func TestUpdate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.md")
	const mark, notes = "<!-- What follows this line is kept by `make x`. -->\n", "\nBy hand.\n\n## More\n"
	for _, step := range []struct{ figures, add, want string }{
		{"1", notes, "1\n\n" + mark},
		{"2", "", "2\n\n" + mark + notes},
		{"2", "", "2\n\n" + mark + notes},
	} {
		var p markdown.Page
		p.Text(step.figures)
		if err := p.Update(file, "make x"); err != nil {
			t.Fatal(err)
		}
		got := must.Get[[]byte](t)(os.ReadFile(file))
		if diff := cmp.Diff(step.want, string(got)); diff != "" {
			t.Errorf("page (-want +got):\n%s", diff)
		}
		if err := os.WriteFile(file, append(got, step.add...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := new(markdown.Page).Update(t.TempDir(), "make x"); err == nil {
		t.Error("a folder was taken for a page")
	}
}
