// Package markdown writes pages with a program's measurements, and keeps the text that people add to them.
package markdown

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Page builds a page. Each part is followed by an empty line.
type Page struct{ b strings.Builder }

// Text adds a paragraph.
func (p *Page) Text(s string) { p.b.WriteString(strings.TrimSpace(s) + "\n\n") }

// Heading adds a heading of the second level.
func (p *Page) Heading(s string) { p.Text("## " + s) }

// Table adds a table, unless it has no rows.
func (p *Page) Table(t *Table) {
	if len(t.rows) > 0 {
		p.Text(t.String())
	}
}

// List adds a list.
func (p *Page) List(items ...string) { p.Text("* " + strings.Join(items, "\n* ")) }

// String returns the page so far.
func (p *Page) String() string { return strings.TrimSuffix(p.b.String(), "\n") }

// Update writes the page into a file, followed by a mark that names the command that makes the page. It keeps the text
// that people have added after the mark.
func (p *Page) Update(file, command string) error {
	mark := "<!-- What follows this line is kept by `" + command + "`. -->"
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the page of the last run: %w", err)
	}
	_, notes, _ := strings.Cut(string(before), mark)
	text := strings.TrimSpace(p.b.String()+mark+"\n\n"+strings.TrimSpace(notes)) + "\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // G306: for everybody
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// Table is a table. Add its columns first, then its rows.
type Table struct {
	head, rule []string
	rows       [][]string
}

// Text adds left-aligned columns.
func (t *Table) Text(heads ...string) *Table { return t.columns("---", heads) }

// Figures adds right-aligned columns.
func (t *Table) Figures(heads ...string) *Table { return t.columns("---:", heads) }

func (t *Table) columns(rule string, heads []string) *Table {
	for _, head := range heads {
		t.head, t.rule = append(t.head, head), append(t.rule, rule)
	}
	return t
}

// Row adds a row.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// String returns the table in Markdown.
func (t *Table) String() string {
	var b strings.Builder
	for _, row := range append([][]string{t.head, t.rule}, t.rows...) {
		b.WriteString("|")
		for _, cell := range row {
			b.WriteString(" " + strings.ReplaceAll(cell, "|", `\|`) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}
