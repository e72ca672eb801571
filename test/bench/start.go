package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"userrelay/local/freeport"
	"userrelay/test/bench/report"
	"userrelay/test/child"
	"userrelay/test/load"
)

const (
	readyLimit = time.Minute            // for a relay's first answer
	readyEvery = 500 * time.Microsecond // it is asked for
)

// relay is a running relay.
type relay struct {
	name    report.Relay
	topic   string
	addr    string
	process *child.Process
	ingest  *ingest // nil: no telemetry
	sum     report.Sum
}

// kindOf returns the relay's kind for the program relay; the handler has none.
func kindOf(name report.Relay) string {
	switch name {
	case report.Bare:
		return "bare"
	case report.Writer:
		return "writer"
	case report.Franz:
		return "franz-go"
	default:
		return ""
	}
}

// topicsOf returns the names of the relays' topics: each has one of its own.
func topicsOf(names []report.Relay) []string {
	var topics []string
	for _, name := range names {
		topics = append(topics, "bench-"+strings.Join(strings.FieldsFunc(string(name), func(r rune) bool { return strings.ContainsRune(" ,/", r) }), "-"))
	}
	return topics
}

// spawn starts a relay's process without waiting for it. The caller must stop it.
func (b *bench) spawn(ctx context.Context, name report.Relay, brokers []string) (*relay, error) {
	r := &relay{name: name, topic: topicsOf([]report.Relay{name})[0], sum: report.Sum{Relay: name, Records: -1, Items: -1}}
	port, err := freeport.Find(ctx)
	if err != nil {
		return nil, err
	}
	r.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	// The collector's targets are those that the handler sets for itself (handler/memory.go); another build may not.
	collector := []string{"GOGC=400", "GOMEMLIMIT=128MiB"}
	spec := child.Spec{Program: b.program("handler"), Args: b.plan.handlerArgs, Env: append([]string{
		"FUNCTIONS_CUSTOMHANDLER_PORT=" + strconv.Itoa(port), "KAFKA_BROKERS=" + strings.Join(brokers, ","), "KAFKA_TOPIC=" + r.topic,
		"AzureWebJobsStorage=UseDevelopmentStorage=true", // the outbox is on, as by default; nothing goes there
		"LOG_LEVEL=error",
	}, b.plan.settings...)}
	switch kind := kindOf(name); {
	case kind != "":
		spec.Program, spec.Args, spec.Env = b.program("relay"), nil, append(append(spec.Env, "RELAY="+kind), collector...)
	case name == report.Before:
		spec.Program, spec.Env = b.against, append(spec.Env, collector...)
	case name == report.Telemetry:
		r.ingest = startIngest()
		spec.Env = append(spec.Env, "APPLICATIONINSIGHTS_CONNECTION_STRING="+
			"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint="+r.ingest.server.URL)
	}
	if r.process, err = child.Start(spec); err != nil {
		r.ingest.stop()
		return nil, err
	}
	return r, nil
}

// stop ends the relay and its telemetry endpoint.
func (r *relay) stop() error {
	err := r.process.Stop()
	r.ingest.stop()
	return err
}

// ready returns when the relay has given its first answer 200.
func (r *relay) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		err := load.Once(ctx, load.Target{Addr: r.addr})
		if err == nil {
			r.sum.OK++
			return nil
		}
		if gone := r.process.Gone(); gone != nil {
			return fmt.Errorf("wait for %s: %w", r.name, gone)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: no answer 200 in %v, last: %w", r.name, readyLimit, err)
		}
	}
}
