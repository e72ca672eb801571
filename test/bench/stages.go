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

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/local/realkafka"
	"userrelay/test/bench/report"
	"userrelay/test/child"
)

const (
	delay      = 5 * time.Millisecond // of the answers of the distant broker
	partitions = 4                    // of each topic
)

// stages returns the stages that are wanted and that this machine can run, in order.
func (b *bench) stages() []*stage {
	relays := []report.Relay{report.Bare, report.Telemetry, report.Ours, report.Writer, report.Franz}
	gzip := report.Load{Callers: b.callers[len(b.callers)/2].Callers, Gzip: true}
	all := []*stage{
		{
			Stage: report.Stage{
				ID: report.InProcess, Title: "In-process broker", Relays: relays, Cells: cells(append(slices.Clone(b.callers), gzip)),
				About: fmt.Sprintf("kfake in a process of its own: one broker, %d partitions, records kept in memory. It does little and answers at once, so what is measured is mostly the relay. Measurements of %v.", partitions, b.each),
			},
			rounds: b.rounds,
		},
		{
			Stage: report.Stage{
				ID: report.Delayed, Title: "5 ms broker", Relays: relays, Cells: cells(b.rates),
				About: fmt.Sprintf("The same broker, each of its answers held back for %v, however many are under way, as a network would: a connection's next request is handled meanwhile. (A broker that waits 5 ms for its replicas handles one request of a connection at a time, which is worse for a client that has only one.) Poisson arrivals for %v; latency from the moment at which a request was due.", delay, 2*b.each),
			},
			rounds: b.rounds, delay: delay,
		},
		{
			Stage: report.Stage{
				ID: report.Apache, Title: "Apache Kafka", Relays: relays[1:], Cells: cells(b.callers),
				About: fmt.Sprintf("One node (KRaft) with the JVM's own compiler settings, %d partitions, warmed up before the first round. Its processor time is most of what there is, and it varies from round to round: there are twice as many rounds. Measurements of %v.", partitions, b.each),
			},
			rounds: 2 * b.rounds, extra: 1, // in which the JVM compiles the code that is used
		},
		{
			Stage: report.Stage{
				ID: report.Cold, Title: "Start", Relays: []report.Relay{report.Bare, report.Ours, report.Writer, report.Franz}, Cells: cells([]report.Load{{}}),
				About: "From the start of the process to its first answer 200, with the in-process broker. The reference relays are one program with both libraries.",
			},
			rounds: b.starts,
		},
	}
	_, noJava := exec.LookPath("java")
	return slices.DeleteFunc(all, func(s *stage) bool {
		s.bench = b
		if b.against != "" {
			s.Relays = append(slices.Clone(s.Relays), report.Before)
		}
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), string(s.ID)) {
			return true
		}
		missing := s.ID == report.Apache && (b.kafkaHome == "" || noJava != nil)
		if missing {
			b.say("%s: left out, it needs Java 17 and KAFKA_HOME", s.Title)
		}
		return missing
	})
}

func cells(loads []report.Load) (cells []report.Cell) {
	for _, l := range loads {
		cells = append(cells, report.Cell{Load: l})
	}
	return cells
}

// kfake starts the in-process broker, in a process of its own, with topics. It returns its addresses and what stops it.
func (s *stage) kfake(_ context.Context, topics []string) (addrs []string, stop func() error, err error) {
	p, err := child.Start(child.Spec{Program: s.program("broker"), Output: true, Args: []string{
		"-delay", s.delay.String(), "-partitions", strconv.Itoa(partitions), "-topics", strings.Join(topics, ","),
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

// apache starts a real Kafka.
func (s *stage) apache(ctx context.Context, topics []string) (addrs []string, stop func() error, err error) {
	kafka, err := realkafka.Start(ctx, realkafka.Options{
		Home: s.kafkaHome, FullJIT: true, Listeners: []realkafka.Listener{realkafka.Plaintext},
		Log: slog.New(slog.NewTextHandler(s.progress, nil)),
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

// empty deletes the records of a topic, so that the broker's memory does not grow from round to round. It returns how
// many were ever written, which is where the topic begins now.
func (s *stage) empty(ctx context.Context, topic string) (written int64, err error) {
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req := kmsg.NewDeleteRecordsRequest()
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic}}
	for i := range int32(partitions) {
		all := kmsg.DeleteRecordsRequestTopicPartition{Partition: i, Offset: -1} // up to the end
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, all)
	}
	resp, err := req.RequestWith(ctx, s.client)
	if err != nil {
		return 0, fmt.Errorf("empty topic %s: %w", topic, err)
	}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			written += rp.LowWatermark
			err = errors.Join(err, kerr.ErrorForCode(rp.ErrorCode))
		}
	}
	return written, err
}
