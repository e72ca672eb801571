package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	topic   string // "" for the one that stores nothing
	addr    string
	process *child.Process
	ingest  *ingest // nil: no telemetry arrives
	silent  *ingest // takes telemetry and never answers; nil: none
	sum     report.Sum
}

// kindOf returns the relay's kind for the program relay; the handler has none.
func kindOf(name report.Relay) string {
	switch name {
	case report.Bare:
		return "bare"
	case report.Tuned:
		return "writer"
	case report.Defaults:
		return "writer-defaults"
	case report.Franz:
		return "franz-go"
	default:
		return ""
	}
}

// topicOf returns the name of a relay's topic. Each relay has a separate one.
func topicOf(name report.Relay) string {
	switch name {
	case report.Bare:
		return ""
	case report.Ours:
		return "bench-ours"
	case report.Telemetry:
		return "bench-telemetry"
	case report.Dead:
		return "bench-dead"
	case report.Hanging:
		return "bench-hanging"
	case report.Behind:
		return "bench-behind"
	case report.Before:
		return "bench-before"
	default:
		return "bench-" + kindOf(name)
	}
}

func topicsOf(names []report.Relay) []string {
	var topics []string
	for _, name := range names {
		if topic := topicOf(name); topic != "" {
			topics = append(topics, topic)
		}
	}
	return topics
}

// spawn starts a relay's process without waiting for it. The caller must stop it.
func (b *bench) spawn(ctx context.Context, name report.Relay, brokers []string) (r *relay, err error) {
	r = &relay{name: name, topic: topicOf(name), sum: report.Sum{Relay: name, Records: -1, Items: -1}}
	port, err := freeport.Find(ctx)
	if err != nil {
		return nil, err
	}
	r.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	list := strings.Join(brokers, ",")
	spec := child.Spec{
		Program: b.program("relay"),
		Args:    []string{"-kind", kindOf(name), "-addr", r.addr, "-brokers", list, "-topic", r.topic},
		Env:     collector(),
	}
	if kindOf(name) == "" {
		spec = child.Spec{Program: b.program("handler"), Args: b.plan.handlerArgs, Env: []string{
			"FUNCTIONS_CUSTOMHANDLER_PORT=" + strconv.Itoa(port), "KAFKA_BROKERS=" + list, "KAFKA_TOPIC=" + r.topic,
			"AzureWebJobsStorage=UseDevelopmentStorage=true", // the outbox is on, as by default; nothing goes there
			"LOG_LEVEL=error",
		}}
		spec.Env = append(spec.Env, b.plan.settings...)
	}
	if name == report.Before {
		spec.Program, spec.Env = b.against, append(spec.Env, collector()...) // one that does not set them may be older
	}
	if name == report.Behind {
		spec.Program, spec.Args = b.program("host"), []string{"-root", b.root, "-addr", r.addr, "-program", b.program("handler")}
		// Its own drain replaces the host's trigger: there is no queue to listen to.
		spec.Env = append(spec.Env, "AzureWebJobs.DrainOutbox.Disabled=true")
	}
	endpoint, err := b.endpoint(ctx, r)
	if err != nil {
		return nil, err
	}
	if endpoint != "" {
		spec.Env = append(spec.Env, "APPLICATIONINSIGHTS_CONNECTION_STRING="+
			"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=http://"+endpoint)
	}
	if r.process, err = child.Start(spec); err != nil {
		return nil, errors.Join(err, r.ingest.stop(), r.silent.stop())
	}
	return r, nil
}

// collector are the garbage collector's targets of the reference relays, the same as the handler's
// (handler/memory.go).
func collector() []string { return []string{"GOGC=400", "GOMEMLIMIT=128MiB"} }

// endpoint returns the address for a relay's telemetry, or "" if it sends none.
func (b *bench) endpoint(ctx context.Context, r *relay) (addr string, err error) {
	switch r.name {
	case report.Telemetry, report.Behind:
		if r.ingest, err = b.startIngest(); err != nil {
			return "", err
		}
		return r.ingest.addr, nil
	case report.Dead:
		port, err := freeport.Find(ctx)
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
	case report.Hanging:
		if r.silent, err = b.startIngest("-hang"); err != nil {
			return "", err
		}
		return r.silent.addr, nil
	default:
		return "", nil
	}
}

// stop ends the relay and its telemetry endpoint.
func (r *relay) stop() error { return errors.Join(r.process.Stop(), r.ingest.stop(), r.silent.stop()) }

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

// startBroker starts the kfake broker in a separate process.
func (b *bench) startBroker(delay time.Duration, topics []string) (*child.Process, []string, error) {
	p, err := child.Start(child.Spec{Program: b.program("broker"), Output: true, Args: []string{
		"-delay", delay.String(), "-partitions", strconv.Itoa(partitions), "-topics", strings.Join(topics, ","),
	}})
	if err != nil {
		return nil, nil, err
	}
	addr, err := p.Line()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start the broker: %w", err), p.Stop())
	}
	return p, []string{addr}, nil
}

// ingest is the endpoint for a handler's telemetry.
type ingest struct {
	process *child.Process
	addr    string
}

func (b *bench) startIngest(args ...string) (*ingest, error) {
	p, err := child.Start(child.Spec{Program: b.program("ingest"), Output: true, Args: args})
	if err != nil {
		return nil, err
	}
	addr, err := p.Line()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the telemetry endpoint: %w", err), p.Stop())
	}
	return &ingest{p, addr}, nil
}

func (i *ingest) stop() error {
	if i == nil {
		return nil
	}
	return i.process.Stop()
}

// items returns how many items have arrived.
func (i *ingest) items(ctx context.Context) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.addr+"/items", http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Close = true
	client := &http.Client{Timeout: readyLimit}
	resp, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask for the number of items: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, fmt.Errorf("ask for the number of items: %w", err)
	}
	n, err := strconv.ParseInt(string(body), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the number of items: %w", err)
	}
	return n, nil
}
