package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"userrelay/test/child"
	"userrelay/test/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const root = "../.." // the project's folder, seen from the one in which tests run

// TestShort runs the short form: run itself fails if a registration is lost, or if a control detects nothing.
func TestShort(t *testing.T) {
	t.Parallel()
	home := kafkatest.Home(t)
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows has no signals that halt a process")
	}
	console := filepath.Join(t.TempDir(), "console")
	if err := run(t.Context(), []string{"-short", "-console", console}, root, home, t.Output(), t.Output()); err != nil {
		if said, err := os.ReadFile(console); err == nil {
			t.Logf("host and handler said last:\n%s", said[max(0, len(said)-4096):])
		}
		t.Fatal(err)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	page := filepath.Join("docs", "reliability.md")
	for name, c := range map[string]struct {
		args []string
		want *options // nil: an error
	}{
		"none":                          {nil, &options{out: page, command: "go run ./test/drill"}},
		"short writes nothing":          {[]string{"-short"}, &options{short: true, command: "go run ./test/drill -short"}},
		"short writes where it is told": {[]string{"-short", "-out", "x"}, &options{short: true, out: "x", command: "go run ./test/drill -short"}},
		"some write nothing": {
			[]string{"-only=outage,storm"},
			&options{only: []string{"outage", "storm"}, command: "go run ./test/drill -only=outage,storm"},
		},
		"with a soak":         {[]string{"-soak=30m"}, &options{soak: 30 * time.Minute, out: page, command: "go run ./test/drill -soak=30m0s"}},
		"the console is ours": {[]string{"-console", "c"}, &options{console: "c", out: page, command: "go run ./test/drill"}},
		"no such drill":       {[]string{"-only=outage,rain"}, nil},
		"no drill":            {[]string{"-only="}, nil},
		"a soak of no length": {[]string{"-only=soak"}, nil},
		"a negative soak":     {[]string{"-soak=-1s"}, nil},
		"an argument":         {[]string{"outage"}, nil},
		"an unknown flag":     {[]string{"-fast"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(c.args, io.Discard)
			if c.want == nil {
				if err == nil {
					t.Errorf("no error, and %+v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*c.want, got, cmp.AllowUnexported(options{})); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    options
		want []string // and no others; nil: all but want's complement in without
		not  []string
	}{
		"all":           {options{}, nil, []string{"soak"}},
		"short":         {options{short: true}, nil, []string{"outage", "leader-killed", "soak"}},
		"with a soak":   {options{soak: time.Minute}, nil, []string{}},
		"one":           {options{only: []string{"storm"}}, []string{"storm"}, nil},
		"one, in short": {options{only: []string{"outage"}, short: true}, []string{"outage"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range drills() {
				if d.wanted(c.o) {
					got = append(got, d.name)
				}
			}
			want := c.want
			if want == nil {
				want = slices.DeleteFunc(names(), func(n string) bool { return slices.Contains(c.not, n) })
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("drills (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNeedsKafka(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, root, "", &out, io.Discard); err == nil || !strings.Contains(err.Error(), "KAFKA_HOME") {
		t.Errorf("error %v", err)
	}
	if out.Len() > 0 {
		t.Errorf("it says: %s", &out)
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
