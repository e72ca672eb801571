package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/bench/report"
)

// inProcess measures with a broker that costs nearly nothing.
func (b *bench) inProcess(ctx context.Context) (report.Stage, error) {
	s := &stage{
		bench: b,
		Stage: report.Stage{
			ID: report.InProcess, Title: "In-process broker",
			About:  fmt.Sprintf("kfake in a process of its own: one broker, %d partitions, records kept in memory. It does little and answers at once, so what is measured is mostly the relay. Measurements of %v.", partitions, b.plan.each),
			Relays: []report.Relay{report.Bare, report.Telemetry, report.Ours, report.Tuned, report.Defaults, report.Franz},
		},
		loads: append(b.plan.callerLoads(), report.Load{Callers: b.plan.gzipCallers, Gzip: true}), rounds: b.plan.rounds, each: b.plan.each, trim: true,
	}
	return b.withBroker(ctx, s, 0)
}

// delayed measures with a distant broker.
func (b *bench) delayed(ctx context.Context) (report.Stage, error) {
	const delay = 5 * time.Millisecond
	s := &stage{
		bench: b,
		Stage: report.Stage{
			ID: report.Delayed, Title: "5 ms broker",
			About:  fmt.Sprintf("The same broker, each of its answers held back for %v, however many are under way, as a network would: a connection's next request is handled meanwhile. (A broker that waits 5 ms for its replicas handles one request of a connection at a time, which is worse for a client that has only one.) Poisson arrivals for %v; latency from the moment at which a request was due.", delay, b.plan.eachOpen),
			Relays: []report.Relay{report.Bare, report.Telemetry, report.Ours, report.Tuned, report.Defaults, report.Franz},
		},
		loads: b.plan.rateLoads(), rounds: b.plan.rounds, each: b.plan.eachOpen, trim: true,
	}
	return b.withBroker(ctx, s, delay)
}

// endpointAway measures the cost if Application Insights accepts nothing.
func (b *bench) endpointAway(ctx context.Context) (report.Stage, error) {
	loads := []report.Load{{Callers: b.plan.endpointCallers}, {Rate: b.plan.endpointRate}}
	s := &stage{
		bench: b,
		Stage: report.Stage{
			ID: report.Endpoint, Title: "Telemetry endpoint away",
			About:  "The in-process broker again. The endpoint of the telemetry takes all that it is sent, as above; or nobody listens there; or it takes connections and requests and answers none.",
			Relays: []report.Relay{report.Telemetry, report.Dead, report.Hanging},
		},
		loads: loads, rounds: b.plan.rounds, each: b.plan.each, trim: true,
	}
	return b.withBroker(ctx, s, 0)
}

// behindHost measures the handler behind the host, as in production.
func (b *bench) behindHost(ctx context.Context) (report.Stage, error) {
	s := &stage{
		bench: b,
		Stage: report.Stage{
			ID: report.Host, Title: "Behind the host",
			About:  "The in-process broker again, and the handler behind `local/funchost`, the stand-in of the Functions host, with the shipped `host.json`, beside the handler alone. The real host, in .NET, costs several times as much as the stand-in: see [capacity.md](capacity.md). Processor time behind the host is the host's alone.",
			Relays: []report.Relay{report.Telemetry, report.Behind},
		},
		loads: b.plan.hostLoads(), rounds: b.plan.rounds, each: b.plan.each, trim: true,
	}
	return b.withBroker(ctx, s, 0)
}

func (b *bench) withBroker(ctx context.Context, s *stage, delay time.Duration) (report.Stage, error) {
	s.addBuild()
	broker, addrs, err := b.startBroker(delay, topicsOf(s.Relays))
	if err != nil {
		return s.Stage, err
	}
	s.brokers = addrs
	st, err := s.run(ctx)
	return st, errors.Join(err, broker.Stop())
}

// apache measures with a real Kafka, if there is one.
func (b *bench) apache(ctx context.Context) (st report.Stage, err error) {
	s := &stage{
		bench: b,
		Stage: report.Stage{
			ID: report.Apache, Title: "Apache Kafka",
			About:  fmt.Sprintf("One node (KRaft) with the JVM's own compiler settings, %d partitions, warmed up before the first round. Its processor time is most of what there is, and it varies from round to round: there are twice as many rounds. Measurements of %v.", partitions, b.plan.each),
			Relays: []report.Relay{report.Telemetry, report.Ours, report.Tuned, report.Defaults, report.Franz},
		},
		loads: b.plan.callerLoads(), rounds: b.plan.apacheRounds, each: b.plan.each, warm: b.plan.apacheWarm,
	}
	if _, err := exec.LookPath("java"); b.kafkaHome == "" || err != nil {
		s.Missing = "Left out of this run: there was no Java, or KAFKA_HOME did not name an Apache Kafka."
		b.say("%s: left out, it needs Java 17 and KAFKA_HOME", s.Title)
		return s.Stage, nil
	}
	b.say("%s: starting", s.Title)
	s.addBuild()
	kafka, err := realkafka.Start(ctx, realkafka.Options{
		Home: b.kafkaHome, FullJIT: true, Listeners: []realkafka.Listener{realkafka.Plaintext},
		Log: slog.New(slog.NewTextHandler(b.progress, nil)),
	})
	if err != nil {
		return s.Stage, err
	}
	defer func() { err = errors.Join(err, kafka.Close()) }() //nolint:contextcheck // it must end when ctx has
	for _, topic := range topicsOf(s.Relays) {
		if err := kafka.CreateTopic(ctx, topic, partitions, 1, nil); err != nil {
			return s.Stage, err
		}
	}
	s.brokers = kafka.Bootstrap(realkafka.Plaintext)
	return s.run(ctx)
}
