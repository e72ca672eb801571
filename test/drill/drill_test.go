package main

import (
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/test/child"
	"userrelay/test/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestShort runs the short form: run itself fails if a registration is lost, or if a control detects nothing.
func TestShort(t *testing.T) {
	t.Parallel()
	home := kafkatest.Home(t)
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows has no signals that halt a process")
	}
	if err := run(t.Context(), []string{"-short"}, "../..", home, t.Output(), t.Output()); err != nil {
		t.Fatal(err)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{ // drills; -1: refused
		"": len(drills()) - 1, "-soak=30m": len(drills()), "-short": 4, "-short -only=outage,halted": 2, "-only=outage,rain": -1,
		"-only=soak": -1, "-only=soak -soak=1h": 1, "-soak=-1h": -1, "outage": -1,
	} {
		o, err := parse(strings.Fields(args), io.Discard)
		got := len(o.wanted())
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d drills (%v), want %d", args, got, err, want)
		}
	}
}

// Steady growth is distinguished from fluctuation.
func TestSlope(t *testing.T) {
	t.Parallel()
	grown := func(mib func(minute int) float64) float64 {
		var samples []sample
		for minute := range 60 {
			samples = append(samples, sample{time.Duration(minute) * time.Minute, child.Usage{Known: true, MiB: mib(minute)}})
		}
		return slope(samples)
	}
	steadily := grown(func(m int) float64 { return 30 + float64(m)/10 })
	notAtAll := grown(func(m int) float64 { return 30 + float64(m%2) })
	if math.Abs(steadily-6) > 0.01 || math.Abs(notAtAll) > 0.1 {
		t.Errorf("got %v and %v MiB an hour, want 6 and almost 0", steadily, notAtAll)
	}
}
