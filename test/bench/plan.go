package main

import (
	"slices"
	"time"

	"userrelay/test/bench/report"
)

// plan has the measurements and their lengths.
type plan struct {
	callers                       []int
	rates                         []int
	gzipCallers                   int // callers of the cell with Accept-Encoding: gzip
	endpointCallers, endpointRate int

	rounds       int
	apacheRounds int
	each         time.Duration // closed loop
	eachOpen     time.Duration
	slow         time.Duration // the only measurement of a relay whose answers take a second
	warm         time.Duration // before each measurement
	apacheWarm   time.Duration // before the first, all relays together, so that the JVM compiles the used code
	starts       int           // of each relay, for the cold start
	allocs       bool
	shipped      bool     // build the programs as the handler is shipped
	settings     []string // of the handler, besides those that name the broker
	handlerArgs  []string
}

func full(o options) plan {
	return plan{
		callers: []int{1, 16, 64, 256}, rates: []int{200, 1000, 4000}, gzipCallers: 64,
		endpointCallers: 16, endpointRate: 1000,
		rounds: o.rounds, apacheRounds: 2 * o.rounds,
		each: o.each, eachOpen: 2 * o.each, slow: 3 * time.Second, warm: 200 * time.Millisecond, apacheWarm: 20 * time.Second,
		starts: 15, allocs: true, shipped: true,
	}
}

// quick is the plan of a run whose figures do not matter, on a possibly busy machine: it uses the longest timeout for
// Kafka that the handler's settings allow.
func quick(options) plan {
	const d = 100 * time.Millisecond
	return plan{
		callers: []int{1, 16}, rates: []int{200}, gzipCallers: 16, endpointCallers: 4, endpointRate: 100, rounds: 1, apacheRounds: 1,
		each: d, eachOpen: 2 * d, slow: d, warm: d / 4, apacheWarm: time.Second, starts: 1,
		settings: []string{"KAFKA_TIMEOUT=3900ms", "OUTBOX_TIMEOUT=100ms"},
	}
}

// callerLoads are the loads of a stage with callers.
func (p *plan) callerLoads() []report.Load {
	var loads []report.Load
	for _, n := range p.callers {
		loads = append(loads, report.Load{Callers: n})
	}
	return loads
}

// hostLoads are the loads of the stage behind the host, which sends few requests at a time.
func (p *plan) hostLoads() []report.Load {
	const most = 64
	return slices.DeleteFunc(p.callerLoads(), func(l report.Load) bool { return l.Callers > most })
}

func (p *plan) rateLoads() []report.Load {
	var loads []report.Load
	for _, n := range p.rates {
		loads = append(loads, report.Load{Rate: n})
	}
	return loads
}
