package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/bench/report"
	"userrelay/test/child"
)

const delay = 5 * time.Millisecond // of the answers of the distant broker

// stages returns all stages that this machine can run, in order.
func (b *bench) stages() []stage {
	p := &b.plan
	relays := []report.Relay{report.Bare, report.Telemetry, report.Ours, report.Writer, report.Franz}
	all := []stage{
		{
			Stage: report.Stage{
				ID: report.InProcess, Title: "In-process broker", Relays: relays,
				About: fmt.Sprintf("kfake in a process of its own: one broker, %d partitions, records kept in memory. It does little and answers at once, so what is measured is mostly the relay. Measurements of %v.", partitions, p.each),
			},
			start: b.kfake(0), loads: append(p.callerLoads(), report.Load{Callers: p.gzipCallers, Gzip: true}), rounds: p.rounds, each: p.each, trim: true,
		},
		{
			Stage: report.Stage{
				ID: report.Delayed, Title: "5 ms broker", Relays: relays,
				About: fmt.Sprintf("The same broker, each of its answers held back for %v, however many are under way, as a network would: a connection's next request is handled meanwhile. (A broker that waits 5 ms for its replicas handles one request of a connection at a time, which is worse for a client that has only one.) Poisson arrivals for %v; latency from the moment at which a request was due.", delay, p.eachOpen),
			},
			start: b.kfake(delay), loads: p.rateLoads(), rounds: p.rounds, each: p.eachOpen, trim: true,
		},
		{
			Stage: report.Stage{
				ID: report.Apache, Title: "Apache Kafka", Relays: relays[1:],
				About: fmt.Sprintf("One node (KRaft) with the JVM's own compiler settings, %d partitions, warmed up before the first round. Its processor time is most of what there is, and it varies from round to round: there are twice as many rounds. Measurements of %v.", partitions, p.each),
			},
			start: b.apache, loads: p.callerLoads(), rounds: p.apacheRounds, each: p.each, warm: p.apacheWarm,
		},
		{
			Stage: report.Stage{
				ID: report.Cold, Title: "Start", Relays: []report.Relay{report.Bare, report.Ours, report.Writer, report.Franz},
				About: "From the start of the process to its first answer 200, with the in-process broker. The reference relays are one program with both libraries.",
			},
			start: b.kfake(0), loads: []report.Load{{}}, rounds: p.starts,
		},
	}
	for i := range all {
		s := &all[i]
		s.bench = b
		if b.against != "" {
			s.Relays = append(slices.Clone(s.Relays), report.Before)
		}
	}
	return slices.DeleteFunc(all, func(s stage) bool {
		_, err := exec.LookPath("java")
		missing := s.ID == report.Apache && (b.kafkaHome == "" || err != nil)
		if missing {
			b.say("%s: left out, it needs Java 17 and KAFKA_HOME", s.Title)
		}
		return missing
	})
}

// starter starts a broker with topics, and returns its addresses and what ends it.
type starter func(ctx context.Context, topics []string) (addrs []string, stop func() error, err error)

// kfake starts the in-process broker in a separate process.
func (b *bench) kfake(delay time.Duration) starter {
	return func(_ context.Context, topics []string) ([]string, func() error, error) {
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
		return []string{addr}, p.Stop, nil
	}
}

// apache starts a real Kafka.
func (b *bench) apache(ctx context.Context, topics []string) ([]string, func() error, error) {
	kafka, err := realkafka.Start(ctx, realkafka.Options{
		Home: b.kafkaHome, FullJIT: true, Listeners: []realkafka.Listener{realkafka.Plaintext},
		Log: slog.New(slog.NewTextHandler(b.progress, nil)),
	})
	if err != nil {
		return nil, nil, err
	}
	for _, topic := range topics {
		if err := kafka.CreateTopic(ctx, topic, partitions, 1, nil); err != nil {
			return nil, nil, errors.Join(err, kafka.Close()) //nolint:contextcheck // it must end when ctx has
		}
	}
	return kafka.Bootstrap(realkafka.Plaintext), kafka.Close, nil
}
