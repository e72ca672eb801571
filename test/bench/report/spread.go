package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// spread has the known values of a figure, the smallest first.
type spread []float64

// spreadOf returns the spread of values; one that is 0 is not known.
func spreadOf(values ...float64) spread {
	slices.Sort(values)
	return slices.DeleteFunc(values, func(v float64) bool { return v == 0 })
}

func (s spread) median() float64 {
	mid := len(s) / 2
	return (s[mid] + s[len(s)-1-mid]) / 2
}

// String returns the median, with the smallest and the largest if they differ.
func (s spread) String() string {
	if len(s) == 0 {
		return "–"
	}
	low, high := number(s[0]), number(s[len(s)-1])
	if low == high {
		return number(s.median())
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.median()), low, high)
}

// number writes a figure with three significant digits, and thousands as k.
func number(v float64) string {
	switch {
	case v >= 10_000:
		return number(v/1000) + "k"
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

// of returns a figure's spread over the rounds.
func (c *Cell) of(name Relay, f Metric) spread {
	var values []float64
	for _, round := range c.Rounds {
		values = append(values, round[name][f])
	}
	return spreadOf(values...)
}

// ratio returns the spread of a figure's ratio between two relays, made within each round.
func (c *Cell) ratio(a, b Relay, f Metric) spread {
	var values []float64
	for _, round := range c.Rounds {
		values = append(values, ratio(round[a][f], round[b][f]))
	}
	return spreadOf(values...)
}

// ratio returns 0 if one of the figures is not known.
func ratio(a, b float64) float64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	return a / b
}

// Limits of a tie: a median ratio this close to 1, or fewer rounds than this that agree on the winner.
const (
	tieWithin = 0.05
	agreeing  = 0.75
)

// stand interprets a ratio of our figure by another's: "ahead" or "behind" only if the median clearly is and most
// rounds agree, else "tie". Without values it says nothing.
func (s spread) stand(f Metric) string {
	if len(s) == 0 {
		return ""
	}
	median, agree := s.median(), 0.0
	for _, v := range s {
		if cmp.Compare(v, 1) == cmp.Compare(median, 1) {
			agree++
		}
	}
	switch more := f == PerSecond; { // is better
	case median >= 1-tieWithin && median <= 1+tieWithin || agree < agreeing*float64(len(s)):
		return "tie"
	case median > 1 == more:
		return "ahead"
	default:
		return "behind"
	}
}
