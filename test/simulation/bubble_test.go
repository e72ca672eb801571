//go:debug randseednop=0

package simulation_test

import (
	"math/rand"
	"strconv"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"userrelay/test/simulation"
)

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
