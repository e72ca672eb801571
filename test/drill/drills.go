package main

import (
	"context"
	"slices"
	"time"

	"userrelay/test/drill/report"
)

// drill is a kind of failure.
type drill struct {
	name  string
	about string
	run   func(context.Context, *stand, *report.Row) error
	short bool   // also in the short form
	nodes int    // brokers of its own; 0: the rig's only one
	relay string // kind of the reference relay in the handler's place; "": the handler
}

// drills returns all drills in order.
func drills() []drill {
	return []drill{
		{name: "broker-killed", run: brokerKilled, about: "The only broker is killed and started again, several times, under the load of 32 callers."},
		{name: "handler-killed", run: handlerKilled, about: "The handler is killed, several times, under the load of 32 callers. The host answers 500 for what it had in progress, and starts it again; requests wait meanwhile."},
		{name: "both-killed", run: bothKilled, short: true, about: "Broker and handler are killed at the same moment, several times, under the load of 32 callers."},
		{name: "control", run: control, short: true, relay: "careless", about: "Drill 3, with a relay in the handler's place that does not wait for Kafka (`kafka.Writer`, acks=0). It must lose records."},
		{name: "outage", run: outage, about: "The only broker is killed and stays away for 60 s, with 200 requests a second all the time (open loop: sent when due, whether earlier ones are answered or not)."},
		{name: "halted", run: halted, short: true, about: "The only broker is halted for 10 s (SIGSTOP) under the load of 32 callers: its connections stay open, and it answers late."},
		{name: "leader-killed", run: leaderKilled, nodes: 3, about: "Three brokers with Kafka's default session timeout of 9 s. The leader of a partition is killed under load and started again, twice."},
		{name: "all-down", run: allDown, short: true, about: "Kafka and the queue are both halted (SIGSTOP), and then both gone, under the load of 32 callers. Nothing can be stored, and nobody may be told that it was."},
		{name: "soak", run: soak, about: "A steady load of 500 requests a second."},
	}
}

// wanted returns the drills that the options request.
func (o options) wanted() []drill {
	return slices.DeleteFunc(drills(), func(d drill) bool {
		switch {
		case o.only != nil:
			return !slices.Contains(o.only, d.name)
		case d.name == "soak":
			return o.soak == 0
		default:
			return o.short && !d.short
		}
	})
}

// plan has the lengths and numbers of a run.
type plan struct {
	callers int
	events  int           // answered 2xx, of the drill that kills the broker, at least
	kills   int           // of each kind, at least
	between time.Duration // two kills
	drain   time.Duration // within which the outbox must be empty
	before  time.Duration // before and after an outage
	outage  time.Duration // of the broker, killed
	halt    time.Duration // of the broker, halted, and of everything
}

func planOf(short bool) plan {
	if short {
		return plan{
			callers: 8, events: 1, kills: 1, between: 500 * time.Millisecond, drain: 2 * time.Minute,
			before: time.Second, outage: 3 * time.Second, halt: 3 * time.Second,
		}
	}
	return plan{
		callers: 32, events: 100_000, kills: 4, between: 3 * time.Second, drain: 5 * time.Minute,
		before: 5 * time.Second, outage: time.Minute, halt: 10 * time.Second,
	}
}
