package simulation

import (
	"fmt"
	"slices"
	"strings"
)

// Shrink removes the parts of a plan that are not needed for the failure: first chunks, then single parts.
func Shrink(p Plan, fails func(Plan) bool) Plan {
	withFaults := func(f []Fault) bool { q := p; q.Faults = f; return fails(q) }
	withCalls := func(c []Call) bool { q := p; q.Calls = c; return fails(q) }
	p.Faults = without(p.Faults, withFaults)
	p.Calls = without(p.Calls, withCalls)
	p.Faults = without(p.Faults, withFaults)
	for i := range p.Calls {
		for _, simpler := range []func(*Call){
			func(c *Call) { c.Leaves = 0 }, func(c *Call) { c.Twice = false }, func(c *Call) { c.Again = false },
			func(c *Call) { c.Tries = 1 }, func(c *Call) { c.Profile = 0 }, func(c *Call) { c.Other = false },
		} {
			q := p
			q.Calls = slices.Clone(p.Calls)
			if simpler(&q.Calls[i]); q.Calls[i] != p.Calls[i] && fails(q) {
				p = q
			}
		}
	}
	return p
}

func without[T any](all []T, fails func([]T) bool) []T {
	for n := (len(all) + 1) / 2; n > 0; n /= 2 {
		for i := 0; i < len(all); {
			less := slices.Delete(slices.Clone(all), i, min(i+n, len(all)))
			if fails(less) {
				all = less
			} else {
				i += n
			}
		}
	}
	return all
}

// Story describes a plan and what happened, with a Go test that repeats it.
func Story(p Plan, r Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Seed %d: %d hosts, %d brokers, %d partitions; %d calls and %d faults.\n", p.Seed, p.Setup.Hosts, p.Setup.Brokers,
		p.Setup.Partitions, len(p.Calls), len(p.Faults))
	for _, problem := range r.Problems {
		fmt.Fprintf(&b, "  %s\n", problem)
	}
	b.WriteString("What happened:\n")
	for line := range strings.SplitSeq(strings.TrimSpace(r.Log), "\n") {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	b.WriteString("To paste into test/simulation/found_test.go:\n")
	b.WriteString(Test(p))
	return b.String()
}

// Test returns a Go test of a plan.
func Test(p Plan) string {
	literal := func(v any) string {
		return strings.NewReplacer("simulation.Setup", "Setup", "simulation.Call", "Call", "simulation.Fault", "Fault").Replace(fmt.Sprintf("%#v", v))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "func TestFound%d(t *testing.T) {\n\tholds(t, simulation.Plan{\n\t\tSeed: %d, Setup: simulation.%s,\n", p.Seed, p.Seed, literal(p.Setup))
	b.WriteString("\t\tCalls: []simulation.Call{\n")
	for _, c := range p.Calls {
		fmt.Fprintf(&b, "\t\t\t%s,\n", strings.TrimPrefix(literal(c), "Call"))
	}
	b.WriteString("\t\t},\n\t\tFaults: []simulation.Fault{\n")
	for _, f := range p.Faults {
		fmt.Fprintf(&b, "\t\t\t%s,\n", strings.TrimPrefix(literal(f), "Fault"))
	}
	b.WriteString("\t\t},\n\t})\n}\n")
	return b.String()
}
