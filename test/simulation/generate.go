package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Calls and faults begin within this time; afterwards all faults end.
const busyFor = 50 * time.Second

// NewPlan makes a random plan.
func NewPlan(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 17)) //nolint:gosec // G404: the same plan for the same seed
	p := Plan{Seed: seed, Setup: newSetup(r)}
	p.Calls = newCalls(r, p.Setup)
	most := []int{0, 3, 6, 10, 16}[r.IntN(5)]
	for range r.IntN(most + 1) {
		f := newFault(r)
		p.Faults = append(p.Faults, f)
		if f.Kind == Replace || f.Kind == Remake {
			p.surround(r, f)
		}
	}
	for one(r, 4) {
		f := newFault(r)
		f.Kind = Clock
		p.Faults = append(p.Faults, f)
	}
	p.Setup.Health = one(r, 3)
	return p
}

// surround adds many calls before and after the change of the cluster or topic, so that records with a late answer or
// none would be repeated to the wrong cluster.
func (p *Plan) surround(r *rand.Rand, f Fault) {
	before := Fault{
		At: max(0, f.At-time.Duration(r.Int64N(int64(2*time.Second)))), For: time.Duration(r.Int64N(int64(4 * time.Second))),
		Kind: []Kind{NextAfter, NextHalf, Silence, CodeAfter, BlackHole, Slow}[r.IntN(6)], Node: r.IntN(12), Code: r.IntN(60),
	}
	p.Faults = append(p.Faults, before)
	for range 12 {
		c := &p.Calls[r.IntN(len(p.Calls))]
		c.At = max(0, before.At+time.Duration(r.Int64N(int64(f.At+f.For-before.At+2*time.Second))))
	}
}

func one(r *rand.Rand, in int) bool { return r.IntN(in) == 0 }

func newSetup(r *rand.Rand) Setup {
	s := Setup{
		Hosts: 1 + r.IntN(3), Brokers: 1 + r.IntN(3), Partitions: 1 + r.IntN(4), NoTrigger: one(r, 3), Telemetry: one(r, 3),
		Profile: one(r, 4), BriefLease: one(r, 6), TLS: one(r, 24),
	}
	s.Split = s.Hosts > 1 && one(r, 3)
	if one(r, 8) {
		s.Login = []string{"PLAIN", "SCRAM-SHA-256", "OAUTHBEARER"}[r.IntN(3)]
	}
	return s
}

func newCalls(r *rand.Rand, s Setup) (calls []Call) {
	fronts := s.Hosts
	if s.Split {
		fronts--
	}
	at := func() time.Duration { return time.Duration(r.Int64N(int64(busyFor))) }
	burst := at()
	for i := range 45 + r.IntN(20) {
		c := Call{
			At: at(), Host: r.IntN(fronts), Form: []Form{FormKey, FormPlain, FormPlain, FormUser, FormCloud}[r.IntN(5)],
			Tenant: "t1", User: fmt.Sprintf("auth0|%d", r.IntN(30)), Created: i, Tries: 1 + r.IntN(4), Other: one(r, 2),
			Pause: time.Second,
		}
		if one(r, 8) { // a herd
			c.At = burst + time.Duration(r.Int64N(int64(20*time.Millisecond)))
		}
		if c.Form == FormKey || c.Form == FormCloud || c.Form == FormPlain && one(r, 2) {
			c.EventID = fmt.Sprintf("e%d", i)
		}
		c.Again, c.Twice = one(r, 6), one(r, 12)
		if one(r, 10) {
			c.Pause = time.Duration(r.Int64N(int64(90 * time.Second)))
		}
		if one(r, 12) {
			c.Leaves = time.Millisecond + time.Duration(r.Int64N(int64(3*time.Second)))
		}
		if s.Profile && one(r, 3) {
			c.Profile = []int{100, 3000, 60_000}[r.IntN(3)]
		}
		if c.EventID != "" && one(r, 10) { // the twin of another tenant
			twin := c
			twin.At, twin.Tenant = c.At+time.Duration(r.Int64N(int64(10*time.Second))), "t2"
			calls = append(calls, twin)
		}
		calls = append(calls, c)
	}
	return calls
}

func newFault(r *rand.Rand) Fault {
	f := Fault{
		At: time.Duration(r.Int64N(int64(busyFor))), For: time.Duration(r.Int64N(int64(20 * time.Second))),
		// Clock, the last kind, is drawn separately, so that the other faults of a seed do not change.
		Kind: Kinds()[r.IntN(len(Kinds())-1)], Node: r.IntN(12), Code: r.IntN(60),
	}
	switch {
	case one(r, 12):
		f.For = time.Minute + time.Duration(r.Int64N(int64(2*time.Minute)))
	case one(r, 6):
		f.For = time.Duration(r.Int64N(int64(time.Second)))
	}
	if f.Kind == Replace || f.Kind == Remake || f.Kind == Renumber {
		f.For = min(f.For, 30*time.Second)
	}
	return f
}
