package report

import (
	"slices"
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
	median := v[mid]
	if len(v)%2 == 0 {
		median = (v[mid-1] + v[mid]) / 2
	}
	return spread{median, v[0], v[len(v)-1], v}, true
}

// metric is a figure of a measurement. It is 0 if unknown.
type metric func(Measure) float64

func perSecond(m Measure) float64 { return m.PerSecond }
func p50(m Measure) float64       { return milliseconds(m.P50) }
func p99(m Measure) float64       { return milliseconds(m.P99) }
func cpu(m Measure) float64       { return float64(m.CPU) / float64(time.Microsecond) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// of returns a figure's spread over the rounds.
func (c *Cell) of(name Relay, f metric) (spread, bool) {
	if c == nil {
		return spread{}, false
	}
	var values []float64
	for _, round := range c.Rounds {
		if m, ok := round[name]; ok && f(m) > 0 {
			values = append(values, f(m))
		}
	}
	return spreadOf(values)
}

// ratio returns the spread of a figure's ratio between two relays, made within each round.
func (c *Cell) ratio(a, b Relay, f metric) (spread, bool) {
	if c == nil {
		return spread{}, false
	}
	var values []float64
	for _, round := range c.Rounds {
		x, okX := round[a]
		y, okY := round[b]
		if okX && okY && f(x) > 0 && f(y) > 0 {
			values = append(values, f(x)/f(y))
		}
	}
	return spreadOf(values)
}

// standing is the result of comparing two relays.
type standing int

const (
	tie standing = iota
	above
	below
)

// Limits of a tie: a median ratio this close to 1, or fewer rounds than this that agree on the winner.
const (
	tieWithin = 0.05
	agreeing  = 0.75
)

// stand interprets a ratio: it is above or below 1 only if the median clearly is and most rounds agree.
func (s spread) stand() standing {
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
	switch {
	case s.median > 1+tieWithin && float64(over) >= enough:
		return above
	case s.median < 1-tieWithin && float64(under) >= enough:
		return below
	default:
		return tie
	}
}
