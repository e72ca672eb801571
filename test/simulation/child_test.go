//go:debug randseednop=0

package simulation_test

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
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

func setting(name string) string {
	return os.Getenv(name) //nolint:forbidigo // a test has no main to read settings in
}

// report is a line of a child's output.
type report struct {
	Seed    uint64
	Begun   bool // it is running; the rest is not known yet
	Result  simulation.Result
	Differs string // of a second run
}

const reportPrefix = "simulation: "

func say(r report) {
	r.Result.Log = ""
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintf(os.Stdout, "\n%s%s\n", reportPrefix, b)
}

// run runs a plan in a separate bubble. No other may run in the process, so that the process' random numbers are the
// same each time.
func run(t *testing.T, p simulation.Plan) (r simulation.Result) {
	t.Helper()
	t.Run(strconv.FormatUint(p.Seed, 10), func(t *testing.T) {
		rand.Seed(int64(p.Seed))              //nolint:staticcheck // SA1019: the libraries' jitter is of math/rand
		cryptotest.SetGlobalRandom(t, p.Seed) // ids of spans, messages and receipts
		synctest.Test(t, func(*testing.T) { r = simulation.Run(p) })
	})
	return r
}

// TestChild runs seeds in a separate process, on one processor, so that the order of events does not depend on the
// system.
func TestChild(t *testing.T) {
	var first, step, n uint64
	if _, err := fmt.Sscanf(setting(childSeeds), "%d,%d,%d", &first, &step, &n); err != nil {
		return // it is not a child
	}
	debug.SetGCPercent(-1) // between runs, so that it does not disturb a run
	for i := range n {
		seed := first + i*step
		say(report{Seed: seed, Begun: true})
		p := simulation.NewPlan(seed)
		done := report{Seed: seed, Result: run(t, p)}
		if setting(childTwice) != "" {
			runtime.GC()
			done.Differs = difference(done.Result.Log, run(t, p).Log)
		}
		say(done)
		if i%8 == 7 {
			runtime.GC()
		}
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
	seed, err := strconv.ParseUint(setting(childShrink), 10, 64)
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
	var last simulation.Result
	failsIn := func(tries int, p simulation.Plan) bool {
		for range tries {
			if last = run(t, p); len(last.Problems) > 0 {
				return true
			}
		}
		return false
	}
	began := time.Now()
	small := simulation.Shrink(p, func(p simulation.Plan) bool { return time.Since(began) < 5*time.Minute && failsIn(tries, p) })
	failsIn(10, small)
	_, _ = fmt.Fprint(os.Stdout, simulation.Story(small, last))
}
