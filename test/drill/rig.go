package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
)

const (
	partitions   = 4
	readLimit    = 2 * time.Minute // for all records of a topic
	kafkaSession = 9 * time.Second // broker.session.timeout.ms with several brokers, Kafka's default
)

// rig has the common parts of the drills: the programs, a broker, and a queue.
type rig struct {
	options
	plan     plan
	dir      string
	progress io.Writer
	began    time.Time
	output   io.Writer // of hosts and handlers
	cluster  *realkafka.Cluster
	queue    *queue
	topics   int // made so far
}

// run builds the programs, starts broker and queue, and runs the drills. The error concerns these common parts.
func (r *rig) run(ctx context.Context) (result *report.Run, err error) {
	if r.dir, err = os.MkdirTemp("", "userrelay-drill-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	r.say("building the handler and what it is drilled with")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", r.dir+string(filepath.Separator), //nolint:gosec // G204: our own programs
		"userrelay/handler", "userrelay/test/drill/queue", "userrelay/test/bench/relay")
	build.Dir = r.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	if r.queue, err = startQueue(ctx, r); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.queue.process.Kill()) }()
	r.say("starting Apache Kafka")
	r.cluster, err = realkafka.Start(ctx, realkafka.Options{Home: r.kafkaHome, Listeners: []realkafka.Listener{realkafka.Plaintext}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.cluster.Close()) }() //nolint:contextcheck // it must end when ctx has
	return r.drillAll(ctx)
}

// drill runs a drill on a stand of its own, after it has repaired what the previous one has broken.
func (r *rig) drill(ctx context.Context, d drill, row *report.Row) (err error) {
	revive := r.broker().Resume
	if !r.broker().Running() {
		revive = func() error { return r.broker().Restart(ctx) }
	}
	if err := errors.Join(revive(), r.queue.ready(ctx)); err != nil {
		return err
	}
	cluster := r.cluster
	if d.nodes > 0 {
		r.say("  starting %d brokers", d.nodes)
		cluster, err = realkafka.Start(ctx, realkafka.Options{Home: r.kafkaHome, Nodes: d.nodes, SessionTimeout: kafkaSession})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, cluster.Close()) }() //nolint:contextcheck // it must end when ctx has
	}
	s, err := r.stand(ctx, cluster, d.relay)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return d.run(ctx, s, row)
}

// program is the path of a program that was built.
func (r *rig) program(name string) string { return filepath.Join(r.dir, name) }

// say prints a line of progress.
func (r *rig) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.progress, "%6.1f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// broker is the only one.
func (r *rig) broker() *realkafka.Node { return r.cluster.Node(1) }

// stand is a host with a handler, its own topic and the load on it.
type stand struct {
	*rig
	*hosts
	*callers
	cluster *realkafka.Cluster
	topic   string
}

// stand starts a stand and waits until it answers. The caller must close it.
func (r *rig) stand(ctx context.Context, cluster *realkafka.Cluster, relay string) (*stand, error) {
	r.topics++
	topic := fmt.Sprintf("drill-%d", r.topics)
	if err := cluster.CreateTopic(ctx, topic, partitions, 0, nil); err != nil {
		return nil, err
	}
	program := r.program("handler")
	env := []string{
		"FUNCTIONS_WORKER_RUNTIME=Custom", "LOG_LEVEL=warn", "AzureWebJobsStorage=" + r.queue.connection,
		"KAFKA_BROKERS=" + strings.Join(cluster.Bootstrap(realkafka.Plaintext), ","), "KAFKA_TOPIC=" + topic,
	}
	if relay != "" {
		program = r.program("relay")
		env = append(env, "RELAY="+relay)
	}
	if r.short {
		// The host's polling interval and its retries after a minute would make the short form long.
		env = append(env, "AzureFunctionsJobHost__extensions__queues__maxPollingInterval=00:00:00.5",
			"AzureFunctionsJobHost__extensions__queues__visibilityTimeout=00:00:01")
	}
	h, err := startHosts(ctx, r.root, program, env, r.output)
	if err != nil {
		return nil, err
	}
	s := &stand{rig: r, hosts: h, callers: newCallers(h.url("RegisterUser"), topic), cluster: cluster, topic: topic}
	err = poll(ctx, "wait for the handler to reach Kafka", func(ctx context.Context) bool {
		status, _, _ := s.request(ctx, http.MethodGet, s.url("Health"), "") // not yet, where that fails
		return status == http.StatusOK
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close ends the stand.
func (s *stand) close() error {
	s.client.CloseIdleConnections()
	return s.stop()
}

// audit waits until the outbox is empty, and compares the answers to the callers with the topic: row.Sum.
func (s *stand) audit(ctx context.Context, row *report.Row, limit time.Duration) error {
	left, err := s.drained(ctx, limit)
	if err != nil {
		return err
	}
	reading, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	log, err := realkafka.Read(reading, s.cluster.Bootstrap(realkafka.Internal), s.topic) // a client that the handler does not use
	if err != nil {
		return err
	}
	poisoned, err := count(ctx, s.queue.poison)
	if err != nil {
		return err
	}
	row.Sum = audit.Compare(s.all(), log)
	row.Note("%s.", row.Sum)
	row.Count("messages left in the outbox after "+report.Span(limit), left, 0)
	row.Count("lost", len(row.Sum.Lost), 0)
	row.Count("answers with a wrong place, and records that nobody sent", row.Sum.Elsewhere+row.Sum.Foreign, 0)
	row.Count("poisoned", poisoned, 0)
	return nil
}

// unnoticed checks that callers did not notice a failure, and that it made no copies except a share of the events, 0 to 1.
func (s *stand) unnoticed(row *report.Row, copies float64) {
	row.Count("events not answered 2xx", row.Sum.Not2xx(), 0)
	row.Count("copies", row.Sum.Copies, int(copies*float64(row.Sum.Stored)))
	row.Time("slowest answer", audit.Percentile(s.all(), 1), slowestAnswer)
}

// bridged audits a failure which the outbox bridged, unnoticed by callers.
func (s *stand) bridged(ctx context.Context, row *report.Row, limit time.Duration, copies float64) error {
	if err := s.audit(ctx, row, limit); err != nil {
		return err
	}
	row.AtLeast("events answered 202", row.Sum.Status[202], 1)
	s.unnoticed(row, copies)
	return nil
}

// drained waits until the outbox is empty or the time is over, and returns how many messages are left.
func (s *stand) drained(ctx context.Context, limit time.Duration) (left int, err error) {
	deadline, told := time.Now().Add(limit), time.Now()
	for {
		if left, err = count(ctx, s.queue.messages); err != nil || left == 0 || time.Now().After(deadline) {
			return left, err
		}
		if time.Since(told) >= 5*time.Second {
			s.say("  %d messages in the outbox", left)
			told = time.Now()
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return left, err
		}
	}
}
