package simulation_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/test/simulation"
)

// The environment variables of a child.
const (
	childSeeds  = "SIMULATION_CHILD"  // first, step and number of seeds
	childShrink = "SIMULATION_SHRINK" // a seed that failed
	childTwice  = "SIMULATION_TWICE"  // set: each seed is run twice, with the same result
)

// report is a line of a child's output.
type report struct {
	Seed     uint64
	Begun    bool // it is running; the rest is not known yet
	Events   int
	Answers  int // 2xx
	Faults   []string
	Copies   map[string]int
	Problems []string
	Differs  string // of a second run
}

const reportPrefix = "simulation: "

func say(r report) {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintf(os.Stdout, "\n%s%s\n", reportPrefix, b)
}

// TestChild runs seeds in a separate process, on one processor, so that the order of events does not depend on the
// system.
func TestChild(t *testing.T) {
	seeds := strings.Split(os.Getenv(childSeeds), ",") //nolint:forbidigo // a test has no main to read settings in
	if len(seeds) != 3 {
		return // it is not a child
	}
	var first, step, n uint64
	for i, to := range []*uint64{&first, &step, &n} {
		*to, _ = strconv.ParseUint(seeds[i], 10, 64)
	}
	debug.SetGCPercent(-1) // between runs, so that it does not disturb a run
	for i := range n {
		seed := first + i*step
		say(report{Seed: seed, Begun: true})
		p := simulation.NewPlan(seed)
		r := run(t, p)
		line := report{Seed: seed, Events: r.Events, Copies: r.Copies, Problems: r.Problems}
		for status, n := range r.Answers {
			if status/100 == 2 {
				line.Answers += n
			}
		}
		for _, f := range p.Faults {
			line.Faults = append(line.Faults, string(f.Kind))
		}
		if os.Getenv(childTwice) != "" { //nolint:forbidigo // a test has no main to read settings in
			runtime.GC()
			line.Differs = difference(r.Log, run(t, p).Log)
		}
		say(line)
		collect(i)
	}
}

// collect frees memory now and then.
func collect(i uint64) {
	if i%8 == 7 {
		runtime.GC()
	}
}

func difference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if la[i] != lb[i] {
			return fmt.Sprintf("line %d of %d: %q and %q", i, len(la), la[i], lb[i])
		}
	}
	if len(la) != len(lb) {
		return fmt.Sprintf("%d and %d lines", len(la), len(lb))
	}
	return ""
}

// TestShrink shrinks a failed seed to a short story, in a separate process.
func TestShrink(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv(childShrink), 10, 64) //nolint:forbidigo // a test has no main to read settings in
	if err != nil {
		return // it is not a child
	}
	p := simulation.NewPlan(seed)
	failed := 0
	for range 10 {
		if len(run(t, p).Problems) > 0 {
			failed++
		}
	}
	_, _ = fmt.Fprintf(os.Stdout, "\nSeed %d fails in %d of 10 runs.\n", seed, failed)
	if failed == 0 {
		return
	}
	tries := 1
	if failed < 10 {
		tries = 3
	}
	began := time.Now()
	fails := func(p simulation.Plan) bool {
		if time.Since(began) > 5*time.Minute {
			return false
		}
		for range tries {
			if len(run(t, p).Problems) > 0 {
				return true
			}
		}
		return false
	}
	small := simulation.Shrink(p, fails)
	r := run(t, small)
	for range 10 {
		if len(r.Problems) > 0 {
			break
		}
		r = run(t, small)
	}
	_, _ = fmt.Fprint(os.Stdout, simulation.Story(small, r))
}
