package main

import (
	"time"

	"userrelay/test/bench/report"
)

// plan has the measurements and their lengths.
type plan struct {
	callers      []int
	rates        []int
	gzipCallers  int // callers of the cell with Accept-Encoding: gzip
	rounds       int
	apacheRounds int
	each         time.Duration // closed loop
	eachOpen     time.Duration
	warm         time.Duration // before each measurement
	apacheWarm   time.Duration // before the first, all relays together, so that the JVM compiles the used code
	starts       int           // of each relay, for the cold start
	build        []string      // flags
	settings     []string      // of the handler, besides those that name the broker
	handlerArgs  []string
}

func full(o options) plan {
	return plan{
		callers: []int{1, 16, 64, 256}, rates: []int{200, 1000, 4000}, gzipCallers: 64,
		rounds: o.rounds, apacheRounds: 2 * o.rounds,
		each: o.each, eachOpen: 2 * o.each, warm: 200 * time.Millisecond, apacheWarm: 20 * time.Second,
		starts: 15, build: []string{"-trimpath", "-ldflags=-s -w"}, // as the handler is shipped
	}
}

// quick is the plan of a run whose figures do not matter, on a possibly busy machine: it uses the longest timeout for
// Kafka that the handler's settings allow, and builds with the flags of the Go cache.
func quick() plan {
	const d = 100 * time.Millisecond
	return plan{
		callers: []int{8}, rates: []int{200}, gzipCallers: 8, rounds: 1, apacheRounds: 1,
		each: d, eachOpen: 2 * d, warm: d / 4, apacheWarm: time.Second, starts: 1,
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

func (p *plan) rateLoads() []report.Load {
	var loads []report.Load
	for _, n := range p.rates {
		loads = append(loads, report.Load{Rate: n})
	}
	return loads
}
