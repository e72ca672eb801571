package simulation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"userrelay/test/simulation"
)

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
