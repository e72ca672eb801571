// Package markdown makes pages of what a program has measured, and keeps what people add to them.
package markdown

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Page is a page in the making. Everything on it has an empty line behind it.
type Page struct{ b strings.Builder }

// Text adds a paragraph.
func (p *Page) Text(s string) { p.b.WriteString(strings.TrimSpace(s) + "\n\n") }

// Heading adds a heading of the second level.
func (p *Page) Heading(s string) { p.Text("## " + s) }

// Table adds a table.
func (p *Page) Table(t *Table) { p.Text(t.String()) }

// List adds a list.
func (p *Page) List(items ...string) { p.Text("* " + strings.Join(items, "\n* ")) }

// String is the page so far.
func (p *Page) String() string { return strings.TrimSuffix(p.b.String(), "\n") }

// Update writes the page into a file. Behind it comes a mark that names the command which makes the page, and after the mark
// what people wrote there since the last time.
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

// Table is a table of a page: its columns first, then its rows.
type Table struct {
	head, rule []string
	rows       [][]string
}

// Text adds columns that stand to the left.
func (t *Table) Text(heads ...string) *Table { return t.columns("---", heads) }

// Figures adds columns that stand to the right.
func (t *Table) Figures(heads ...string) *Table { return t.columns("---:", heads) }

func (t *Table) columns(rule string, heads []string) *Table {
	for _, head := range heads {
		t.head, t.rule = append(t.head, head), append(t.rule, rule)
	}
	return t
}

// Row adds a row.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Rows is how many rows there are.
func (t *Table) Rows() int { return len(t.rows) }

// String is the table in Markdown.
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
