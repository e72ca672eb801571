package simulation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"userrelay/test/simulation"
)

// failedBefore are the seeds that once failed. They are run first. A seed is another schedule when the generator has
// changed: what must stay is a plan of its own, below.
func failedBefore() []uint64 {
	return []uint64{
		1934, // a health check waited for another one, and time stood still
		4853, // the same
	}
}

// holds runs a plan that once failed.
func holds(t *testing.T, p simulation.Plan) {
	t.Helper()
	if r := run(t, p); len(r.Problems) > 0 {
		t.Errorf("%s", simulation.Story(p, r))
	}
}

// Bugs that the simulation has found, each with the smallest plan that showed it. The tests run sequentially, because
// each seeds the random numbers of the process.

// Another tenant's registration with the same event id got the answer of the first, and was not stored.
func TestFoundRepeatsWithoutTenant(t *testing.T) {
	holds(t, simulation.Plan{
		Seed: 1, Setup: simulation.Setup{Hosts: 1, Brokers: 1, Partitions: 1},
		Calls: []simulation.Call{
			{At: time.Second, Form: simulation.FormKey, Tenant: "t1", User: "auth0|1", EventID: "e1", Tries: 1},
			{At: 2 * time.Second, Form: simulation.FormKey, Tenant: "t2", User: "auth0|1", EventID: "e1", Tries: 1},
		},
	})
}

// A new cluster replaced the old one and assigned the same producer ids. A handler with an old id reported a new
// record as stored, because the broker treated it as a repeat. This plan has only the registrations after the faults.
// It failed in 6 of 10 runs.
func TestFoundProducerIDOutlivesCluster(t *testing.T) {
	holds(t, simulation.Plan{
		Seed: 82, Setup: simulation.Setup{Hosts: 3, Brokers: 1, Partitions: 2, Login: "PLAIN", Profile: true},
		Faults: []simulation.Fault{
			{At: 10324663569, For: 6515708433, Kind: simulation.CodeAfter, Node: 4, Code: 31},
			{At: 4285043907, For: 2860061311, Kind: simulation.Replace, Node: 0, Code: 51},
			{At: 8643044802, For: 12050822030, Kind: simulation.Stop, Node: 9, Code: 16},
		},
	})
}

// A record may have been stored, its repeat was refused permanently, and the producer gave it up at once: the outbox
// drained a copy.
func TestFoundRepeatRefused(t *testing.T) {
	holds(t, simulation.Plan{
		Seed: 880, Setup: simulation.Setup{Hosts: 3, Brokers: 3, Partitions: 1},
		Calls: []simulation.Call{
			{At: 10516897278, Host: 1, Form: simulation.FormKey, Tenant: "t1", User: "auth0|5", EventID: "e23", Created: 23, Tries: 2, Again: true, Other: true, Pause: time.Second},
		},
		Faults: []simulation.Fault{
			{At: 14815368576, For: 4804069882, Kind: simulation.CodeBefore, Node: 4, Code: 55},
			{At: 7505939355, For: 12328952855, Kind: simulation.CodeAfter, Node: 8, Code: 36},
		},
	})
}

// TestSlowKafka has a Kafka whose answers take longer than an attempt of the producer, which is 3 s, for ten minutes:
// nothing is lost or poisoned. The log has the number of drained messages.
func TestSlowKafka(t *testing.T) {
	for _, takes := range []time.Duration{2500 * time.Millisecond, 5 * time.Second, 15 * time.Second} {
		t.Run(takes.String(), func(t *testing.T) {
			const begins, lasts, every = 5 * time.Second, 10 * time.Minute, 2 * time.Second
			p := simulation.Plan{
				Seed: 1, Setup: simulation.Setup{Hosts: 1, Brokers: 1, Partitions: 4},
				Faults: []simulation.Fault{{At: begins, For: lasts, Kind: simulation.SlowStore, Code: int(takes.Milliseconds())}},
			}
			for at := time.Second; at < begins+lasts; at += every {
				p.Calls = append(p.Calls, simulation.Call{
					At: at, Form: simulation.FormKey, Tenant: "t1", User: fmt.Sprint("auth0|", at.Milliseconds()), EventID: fmt.Sprint("e", at.Milliseconds()), Tries: 1,
				})
			}
			r := run(t, p)
			if len(r.Problems) > 0 {
				t.Error(strings.Join(r.Problems, "\n"))
			}
			during, after := 0, 0
			for line := range strings.Lines(r.Log) {
				if at, err := time.ParseDuration(strings.Fields(line)[0]); err == nil && strings.Contains(line, "queue delete done true") {
					if at < begins+lasts {
						during++
					} else {
						after++
					}
				}
			}
			t.Logf("answers %v, %d records, copies %v; drained %d in ten minutes of it, %d afterwards", r.Answers, r.Records, r.Copies, during, after)
		})
	}
}
