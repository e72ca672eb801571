package load

import (
	"math"
	"slices"
	"time"
)

// Percentile returns the smallest of the values that is not exceeded by the share p of them, 0 < p <= 1 (nearest rank).
// It is 0 where there are no values. It sorts them.
func Percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := int(math.Ceil(p * float64(len(values))))
	return values[min(max(rank, 1), len(values))-1]
}
