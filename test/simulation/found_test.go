package simulation_test

import (
	"testing"
	"time"

	"userrelay/test/simulation"
)

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
