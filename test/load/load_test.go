package load_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"userrelay/test/load"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100) // 1 to 100, the last first
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, c := range []struct {
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{9, 3}, 0.5, 3},
		{[]time.Duration{9, 3, 5}, 0.5, 5},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred[:10], 0.99, 100},
		{hundred, 1e-9, 1},
	} {
		if got := load.Percentile(slices.Clone(c.values), c.p); got != c.want {
			t.Errorf("percentile %v of %d values: %d, want %d", c.p, len(c.values), got, c.want)
		}
	}
}

func TestPoisson(t *testing.T) {
	t.Parallel()
	const rate, length, want = 1000, 20 * time.Second, 20_000
	due := load.Poisson(rate, length, 1)
	if !slices.IsSorted(due) || due[0] < 0 || due[len(due)-1] >= length {
		t.Errorf("the schedule is not in order, or outside its time")
	}
	if off := math.Abs(float64(len(due) - want)); off > 5*math.Sqrt(want) {
		t.Errorf("%d arrivals, want %d give or take 5 standard deviations", len(due), want)
	}
	// The gaps of a Poisson process are exponential: 1/e of them are longer than the mean.
	long := 0.0
	for i := range due[1:] {
		if due[i+1]-due[i] > time.Second/rate {
			long++
		}
	}
	if share := long / float64(len(due)-1); math.Abs(share-1/math.E) > 0.02 {
		t.Errorf("%.3f of the gaps are longer than the mean, want %.3f", share, 1/math.E)
	}
	if !slices.Equal(due, load.Poisson(rate, length, 1)) || slices.Equal(due, load.Poisson(rate, length, 2)) {
		t.Error("a seed and a schedule do not belong together")
	}
}
