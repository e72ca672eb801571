package main

import "time"

// plan has the lengths and numbers of a run.
type plan struct {
	callers int
	events  int           // answered 2xx, of the drill that kills the broker, at least
	kills   int           // of each kind, at least
	steady  time.Duration // between two kills of the broker alone
	between time.Duration // between two other kills
	drain   time.Duration // within which the outbox must be empty
	rate    int           // requests a second in an outage
	outage  time.Duration
	before  time.Duration // before and after an outage
	halt    time.Duration // of a broker
	fault   time.Duration // of each kind between handler and Kafka
	down    time.Duration // of everything
	keys    int
	repeats int // of each key
	slow    int // connections
	idle    int // connections
}

func full() plan {
	return plan{
		callers: 32, events: 100_000, kills: 4, steady: 12 * time.Second, between: 3 * time.Second, drain: 5 * time.Minute,
		rate: 200, outage: time.Minute, before: 5 * time.Second, halt: 10 * time.Second, fault: 10 * time.Second,
		down: 12 * time.Second, keys: 1000, repeats: 100, slow: 500, idle: 10_000,
	}
}

func short() plan {
	return plan{
		callers: 8, events: 1, kills: 1, steady: 500 * time.Millisecond, between: 500 * time.Millisecond, drain: 2 * time.Minute,
		rate: 50, outage: 3 * time.Second, before: time.Second, halt: 3 * time.Second, fault: 1500 * time.Millisecond,
		down: 3 * time.Second, keys: 20, repeats: 20, slow: 50, idle: 500,
	}
}
