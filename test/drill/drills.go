package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"userrelay/test/drill/report"
)

// drill is a kind of failure.
type drill struct {
	number int
	name   string
	about  string
	run    func(context.Context, *rig, *report.Row) error
	full   bool // not in the short form
}

// drills returns all drills in order.
func drills() []drill {
	return []drill{
		{1, "broker-killed", "The only broker is killed and started again, several times, under the load of 32 callers.", brokerKilled, false},
		{2, "handler-killed", "The handler is killed, several times, under the load of 32 callers. The host answers 500 for what it had in progress, and starts it again; requests wait meanwhile.", handlerKilled, false},
		{3, "both-killed", "Broker and handler are killed at the same moment, several times, under the load of 32 callers.", bothKilled, false},
		{4, "control", "Drill 3, with a relay in the handler's place that does not wait for Kafka (`kafka.Writer`, acks=0). It must lose records.", control, false},
		{5, "outage", "The only broker is killed and stays away for 60 s, with 200 requests a second all the time (open loop: sent when due, whether earlier ones are answered or not).", outage, true},
		{6, "halted", "The only broker is halted for 10 s (SIGSTOP) under the load of 32 callers: its connections stay open, and it answers late.", halted, false},
		{7, "leader-killed", "Three brokers with Kafka's default session timeout of 9 s. The leader of a partition is killed under load and started again, twice. Beside the handler, under the same load on a topic of its own, runs a second one as the control: what it wants to take back from its outbox, because Kafka has it after all, is refused, and it is killed before it could recognise these messages.", leaderKilled, true},
		{8, "faults", "A proxy between handler and Kafka makes faults, one after the other, under the load of 32 callers: answers 200 ms late; 5 % of the produce requests end in a reset, before or after the broker has seen them or in place of the answer; nothing passes for 10 s; answers trickle byte by byte.", faults, false},
		{9, "all-down", "Kafka and the queue are both halted (SIGSTOP), and then both gone, under the load of 32 callers. Nothing can be stored, and nobody may be told that it was.", allDown, false},
		{10, "storm", "1,000 events, each sent 100 times at once under one Idempotency-Key, by callers that lose patience and through a proxy that cuts 5 % of their connections. Each caller tries again until it has an answer.", storm, false},
		{11, "poison", "Messages that nobody can read, and such as a person moves back.", poison, false},
		{12, "unfriendly", "Unfriendly clients, straight at the handler without the host, while a normal one goes on: 500 connections that send a byte a second; 10,000 idle ones; bodies that are too large, chunked, or announced and never sent; bytes that are no HTTP.", unfriendly, false},
		{13, "soak", "A steady load of 500 requests a second.", soak, true},
	}
}

func (d drill) wanted(o options) bool {
	switch {
	case o.only != nil:
		return slices.Contains(o.only, d.name)
	case d.name == "soak":
		return o.soak > 0
	default:
		return !o.short || !d.full
	}
}

func names() []string {
	var all []string
	for _, d := range drills() {
		all = append(all, d.name)
	}
	return all
}

func checkNames(only []string) error {
	for _, name := range only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("no drill is called %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	return nil
}
