package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"userrelay/test/bench/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestQuick runs everything except Apache Kafka for a short time: run itself fails if an answer is not 200, or if a
// topic holds fewer records than were answered.
func TestQuick(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, "b.md")
	var progress bytes.Buffer
	err := run(t.Context(), []string{"-quick", "-out", page}, "", &progress, t.Output())
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	made, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := string(made)
	for _, want := range []string{
		"Command: `go run ./test/bench -quick`", "| 16 callers, gzip |", "| 200/s |",
		"Left out of this run: there was no Java, or KAFKA_HOME did not name an Apache Kafka.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if strings.Contains(got, dir) {
		t.Errorf("the page names a path of this machine: %s", dir)
	}
	// 2 loads of callers and one with gzip; one rate; a cold start. Each with its relays.
	for stage, want := range map[string]int{"In-process broker": 3 * 6, "5 ms broker": 6, "Behind the host": 2 * 2, "Cold start": 4} {
		if n := strings.Count("\n"+progress.String(), "\n"+stage+" "); n != want {
			t.Errorf("%d measurements of %s, want %d", n, stage, want)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", &progress, got)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	docs := func(name string) string { return filepath.Join("docs", name) }
	for _, tc := range []struct {
		name string
		args []string
		want *options // nil: an error
	}{
		{"none", nil, &options{
			rounds: 5, each: time.Second, out: docs("benchmarks.md"), command: "go run ./test/bench",
		}},
		{"quick writes nothing", []string{"-quick"}, &options{
			quick: true, rounds: 5, each: time.Second, command: "go run ./test/bench -quick",
		}},
		{"quick writes where it is told to", []string{"-quick", "-out", "x.md"}, &options{
			quick: true, rounds: 5, each: time.Second, out: "x.md", command: "go run ./test/bench -quick",
		}},
		{"other lengths", []string{"-rounds=3", "-d=2s", "-out="}, &options{
			rounds: 3, each: 2 * time.Second, command: "go run ./test/bench -d=2s -rounds=3",
		}},
		{"no rounds", []string{"-rounds=0"}, nil},
		{"no time", []string{"-d=0s"}, nil},
		{"an argument", []string{"fast"}, nil},
		{"an unknown flag", []string{"-fast"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(tc.args, io.Discard)
			if tc.want == nil {
				if err == nil {
					t.Errorf("no error, and %+v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*tc.want, got, cmp.AllowUnexported(options{})); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	const out = `goos: linux
pkg: userrelay/handler/functions
BenchmarkRegisterUser-2   	  120342	      1987 ns/op	    2134 B/op	      23 allocs/op
BenchmarkDecode/profile-2 	    5000	     200.5 ns/op	 100.00 MB/s	     512 B/op	       4 allocs/op
PASS
ok  	userrelay/handler/functions	1.2s
`
	got, err := parseBenchmarks([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	want := []report.Alloc{{Name: "RegisterUser", NsOp: 1987, Bytes: 2134, Allocs: 23}, {Name: "Decode/profile", NsOp: 200.5, Bytes: 512, Allocs: 4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("benchmarks (-want +got):\n%s", diff)
	}
}

// TestFullPlanFitsItsTime checks that the plan takes no longer than people wait.
func TestFullPlanFitsItsTime(t *testing.T) {
	t.Parallel()
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p := full(o)
	const relays, apacheRelays = 5, 3 // besides the Writer's defaults, which are measured once
	total := time.Duration(p.rounds*relays*(len(p.callers)+1))*(p.warm+p.each) +
		time.Duration(p.rounds*relays*len(p.rates))*(p.warm+p.eachOpen) +
		time.Duration(p.apacheRounds*apacheRelays*len(p.callers))*(p.warm+p.each) + p.apacheWarm +
		time.Duration(2*len(p.callers)+1+len(p.rates))*p.slow
	if total > 11*time.Minute {
		t.Errorf("it takes %v without what is between the measurements", total)
	}
	t.Log(total)
}
