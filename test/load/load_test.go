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
	for _, tc := range []struct {
		name   string
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{"nothing", nil, 0.5, 0},
		{"one value", []time.Duration{7}, 0.99, 7},
		{"p50 of two is the smaller", []time.Duration{9, 3}, 0.5, 3},
		{"p50 of three is the middle one", []time.Duration{9, 3, 5}, 0.5, 5},
		{"p50 of a hundred", hundred, 0.5, 50},
		{"p99 of a hundred", hundred, 0.99, 99},
		{"all of a hundred", hundred, 1, 100},
		{"p99 of ten is the largest", hundred[:10], 0.99, 100},
		{"next to nothing is the smallest", hundred, 1e-9, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := load.Percentile(slices.Clone(tc.values), tc.p); got != tc.want {
				t.Errorf("Percentile(%v) = %d, want %d", tc.p, got, tc.want)
			}
		})
	}
}

func TestPoisson(t *testing.T) {
	t.Parallel()
	const rate, length = 1000, 20 * time.Second
	due := load.Poisson(rate, length, 1)
	if !slices.IsSorted(due) || due[0] < 0 || due[len(due)-1] >= length {
		t.Errorf("the schedule is not in order, or outside its time")
	}
	const want = 20_000
	if off := math.Abs(float64(len(due) - want)); off > 5*math.Sqrt(want) {
		t.Errorf("%d arrivals, want %d give or take 5 standard deviations", len(due), want)
	}
	// The gaps of a Poisson process are exponential: their standard deviation is their mean, and 1/e of them are longer.
	var sum, squares, long float64
	for i := range due[1:] {
		gap := (due[i+1] - due[i]).Seconds() * rate
		sum += gap
		squares += gap * gap
		if gap > 1 {
			long++
		}
	}
	n := float64(len(due) - 1)
	if deviation := math.Sqrt(squares/n - (sum/n)*(sum/n)); math.Abs(deviation-1) > 0.05 {
		t.Errorf("gaps have a standard deviation of %.3f means, want 1", deviation)
	}
	if share := long / n; math.Abs(share-1/math.E) > 0.02 {
		t.Errorf("%.3f of the gaps are longer than the mean, want %.3f", share, 1/math.E)
	}
	if !slices.Equal(due, load.Poisson(rate, length, 1)) {
		t.Error("the same seed gives another schedule")
	}
	if slices.Equal(due, load.Poisson(rate, length, 2)) {
		t.Error("another seed gives the same schedule")
	}
	if none := load.Poisson(1, 0, 1); len(none) != 0 {
		t.Errorf("%d arrivals in no time", len(none))
	}
}

func TestSteady(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	for at := range load.Steady(5 * time.Millisecond) {
		if got = append(got, at); len(got) == 3 {
			break
		}
	}
	if want := []time.Duration{0, 5 * time.Millisecond, 10 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("due at %v, want %v", got, want)
	}
}
