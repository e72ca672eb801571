package report

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// spread has the median, the smallest and the largest of some values.
type spread struct {
	median, low, high float64
	values            []float64 // sorted
}

// spreadOf returns the spread of values. ok is false if there are none.
func spreadOf(values []float64) (s spread, ok bool) {
	if len(values) == 0 {
		return spread{}, false
	}
	v := slices.Sorted(slices.Values(values))
	mid := len(v) / 2
	return spread{(v[mid] + v[len(v)-1-mid]) / 2, v[0], v[len(v)-1], v}, true
}

// String returns the median, with the smallest and the largest if they differ.
func (s spread) String() string {
	low, high := number(s.low), number(s.high)
	if low == high {
		return number(s.median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.median), low, high)
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

// metric is a figure of a measurement. It is 0 if unknown.
type metric struct {
	title string
	of    func(Measure) float64
	more  bool // is better
}

func perSecond() metric {
	return metric{"requests/s", func(m Measure) float64 { return m.PerSecond }, true}
}

func p50() metric {
	return metric{"p50, ms", func(m Measure) float64 { return milliseconds(m.P50) }, false}
}

func p99() metric {
	return metric{"p99, ms", func(m Measure) float64 { return milliseconds(m.P99) }, false}
}

func cpu() metric {
	of := func(m Measure) float64 { return float64(m.CPU) / float64(time.Microsecond) }
	return metric{"processor time of the relay for a request, µs", of, false}
}

func first() metric {
	return metric{"first answer 200 after the start, ms", func(m Measure) float64 { return milliseconds(m.First) }, false}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// of returns a figure's spread over the rounds.
func (c *Cell) of(name Relay, f metric) (spread, bool) {
	var values []float64
	for _, round := range c.Rounds {
		if v := f.of(round[name]); v > 0 {
			values = append(values, v)
		}
	}
	return spreadOf(values)
}

// ratio returns the spread of a figure's ratio between two relays, made within each round.
func (c *Cell) ratio(a, b Relay, f metric) (spread, bool) {
	var values []float64
	for _, round := range c.Rounds {
		if x, y := f.of(round[a]), f.of(round[b]); x > 0 && y > 0 {
			values = append(values, x/y)
		}
	}
	return spreadOf(values)
}

// Limits of a tie: a median ratio this close to 1, or fewer rounds than this that agree on the winner.
const (
	tieWithin = 0.05
	agreeing  = 0.75
)

// stand interprets a ratio of our figure by another's: "ahead" or "behind" only if the median clearly is and most
// rounds agree, else "tie".
func (s spread) stand(more bool) string {
	var over, under int
	for _, v := range s.values {
		switch {
		case v > 1:
			over++
		case v < 1:
			under++
		}
	}
	enough := agreeing * float64(len(s.values))
	above := s.median > 1+tieWithin && float64(over) >= enough
	below := s.median < 1-tieWithin && float64(under) >= enough
	switch {
	case !above && !below:
		return "tie"
	case above == more:
		return "ahead"
	default:
		return "behind"
	}
}
