package report

import (
	"fmt"
	"strconv"
	"strings"

	"userrelay/test/markdown"
)

// number writes a figure with three significant digits, and thousands as k.
func number(v float64) string {
	switch {
	case v >= 10_000:
		return trimmed(v/1000, 1) + "k"
	case v >= 100:
		return trimmed(v, 0)
	case v >= 10:
		return trimmed(v, 1)
	case v >= 0.1 || v == 0:
		return trimmed(v, 2)
	default:
		return trimmed(v, 3)
	}
}

// trimmed writes a figure without zeros at its end.
func trimmed(v float64, decimals int) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// String returns the median, with the smallest and the largest if they differ.
func (s spread) String() string {
	low, high := number(s.low), number(s.high)
	if low == high {
		return number(s.median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.median), low, high)
}

// figures is a table of one figure: a row for each cell that keep wants, a column for each relay.
func (s *Stage) figures(title string, f metric, keep func(Load) bool) (t *markdown.Table, found bool) {
	t = new(markdown.Table).Text(title)
	for _, name := range s.Relays {
		t.Figures(string(name))
	}
	for i := range s.Cells {
		c := &s.Cells[i]
		if !keep(c.Load) {
			continue
		}
		row := []string{c.Load.String()}
		for _, name := range s.Relays {
			text := "–"
			if sp, ok := c.of(name, f); ok {
				text, found = sp.String(), true
			}
			row = append(row, text)
		}
		t.Row(row...)
	}
	return t, found
}

func closed(l Load) bool { return l.Callers > 0 }

func everyLoad(Load) bool { return true }

// word says what a standing means for us, if better is the good side.
func word(s, better standing) string {
	switch s {
	case tie:
		return "tie"
	case better:
		return "ahead"
	default:
		return "behind"
	}
}

// versus is a table of our figures divided by another relay's.
func (s *Stage) versus(other Relay) (t *markdown.Table, found bool) {
	t = new(markdown.Table).Text(s.Title).Figures("requests/s", "p50", "p99", "processor time")
	for i := range s.Cells {
		c := &s.Cells[i]
		row := []string{c.Load.String()}
		for _, col := range comparisons() {
			sp, ok := c.ratio(Ours, other, col.of)
			if !ok || col.closedOnly && !closed(c.Load) {
				row = append(row, "–")
				continue
			}
			found = true
			row = append(row, fmt.Sprintf("%s %s", sp, word(sp.stand(), col.better)))
		}
		t.Row(row...)
	}
	return t, found
}

// comparison is a figure for comparing relays.
type comparison struct {
	name       string
	of         metric
	better     standing // of our figure by the other's
	closedOnly bool     // it says nothing of an open loop
}

func comparisons() []comparison {
	return []comparison{
		{"requests/s", perSecond, above, true},
		{"p50", p50, below, false},
		{"p99", p99, below, false},
		{"processor time", cpu, below, false},
	}
}
