package main

import (
	"io"
	"path/filepath"
	"runtime"
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
	if err := run(t.Context(), []string{"-short", "-console"}, "../..", home, t.Output(), t.Output()); err != nil {
		t.Fatal(err)
	}
}

// Only a run of all drills in their full length writes the page by itself.
func TestFlags(t *testing.T) {
	t.Parallel()
	page := filepath.Join("docs", "reliability.md")
	for _, c := range []struct {
		args  []string
		fails bool
		out   string
		want  int // drills
	}{
		{nil, false, page, len(drills()) - 1},
		{[]string{"-soak=30m"}, false, page, len(drills())},
		{[]string{"-short"}, false, "", 4},
		{[]string{"-short", "-out", "x"}, false, "x", 4},
		{[]string{"-short", "-only=outage,halted"}, false, "", 2},
		{[]string{"-only=outage,rain"}, true, "", 0},
		{[]string{"-only=soak"}, true, "", 0},
		{[]string{"outage"}, true, "", 0},
	} {
		o, err := parse(c.args, io.Discard)
		if (err != nil) != c.fails {
			t.Errorf("%q: error %v", c.args, err)
			continue
		}
		wanted := 0
		for _, d := range drills() {
			if !c.fails && d.wanted(o) {
				wanted++
			}
		}
		if !c.fails && o.out != c.out || wanted != c.want {
			t.Errorf("%q: page %q and %d drills, want %q and %d", c.args, o.out, wanted, c.out, c.want)
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
	if got := grown(func(m int) float64 { return 30 + float64(m)/10 }); got < 5.99 || got > 6.01 {
		t.Errorf("6 MiB an hour: %v", got)
	}
	if got := grown(func(m int) float64 { return 30 + float64(m%2) }); got < -0.1 || got > 0.1 {
		t.Errorf("up and down: %v", got)
	}
}
