package simulation_test

import (
	"testing"
	"time"

	"userrelay/test/simulation"
)

// What the simulation has found, each as the smallest plan that showed it.

// Another tenant's registration with the same event id got the answer of the first, and was stored nowhere.
func TestFoundRepeatsWithoutTenant(t *testing.T) {
	holds(t, simulation.Plan{
		Seed: 1, Setup: simulation.Setup{Hosts: 1, Brokers: 1, Partitions: 1},
		Calls: []simulation.Call{
			{At: time.Second, Form: simulation.FormKey, Tenant: "t1", User: "auth0|1", EventID: "e1", Tries: 1},
			{At: 2 * time.Second, Form: simulation.FormKey, Tenant: "t2", User: "auth0|1", EventID: "e1", Tries: 1},
		},
	})
}
