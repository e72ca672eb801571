package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	closers  []func() error
}

// startRig builds the programs and starts broker and queue. The caller must close it.
func startRig(ctx context.Context, o options, progress io.Writer) (_ *rig, err error) {
	r := &rig{options: o, plan: full(), progress: progress, output: io.Discard, began: time.Now()}
	if o.short {
		r.plan = short()
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.dir, err = os.MkdirTemp("", "userrelay-drill-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	r.closers = append(r.closers, func() error { return os.RemoveAll(r.dir) })
	if o.console != "" {
		file, err := os.Create(o.console)
		if err != nil {
			return nil, fmt.Errorf("make the file of the console: %w", err)
		}
		r.output = file
		r.closers = append(r.closers, file.Close)
	}
	r.say("building the handler and what it is drilled with")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", r.dir+string(filepath.Separator), //nolint:gosec // G204: our own programs
		"userrelay/handler", "userrelay/test/drill/queue", "userrelay/test/bench/relay")
	build.Dir = o.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	if r.queue, err = startQueue(ctx, r); err != nil {
		return nil, err
	}
	r.closers = append(r.closers, func() error { return r.queue.process.Kill() })
	r.say("starting Apache Kafka")
	r.cluster, err = realkafka.Start(ctx, realkafka.Options{Home: r.kafkaHome, Listeners: []realkafka.Listener{realkafka.Plaintext}})
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, r.cluster.Close)
	return r, nil
}

// close ends everything in reverse order of the start.
func (r *rig) close() error {
	var errs []error
	for _, closer := range slices.Backward(r.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

// drill runs a drill on a stand of its own, after it has repaired what the previous one has broken.
func (r *rig) drill(ctx context.Context, d drill, row *report.Row) (err error) {
	if err := errors.Join(r.reviveBroker(ctx), r.queue.ready(ctx)); err != nil {
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
	defer func() { err = errors.Join(err, s.close(ctx)) }()
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

// reviveBroker restarts or continues the broker.
func (r *rig) reviveBroker(ctx context.Context) error {
	if r.broker().Running() {
		return r.broker().Resume()
	}
	return r.broker().Restart(ctx)
}

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
	if err := s.healthy(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// close ends the stand, even when ctx has ended.
func (s *stand) close(ctx context.Context) error {
	s.client.CloseIdleConnections()
	return s.stop(ctx)
}

// healthy waits until the handler reaches Kafka.
func (s *stand) healthy(ctx context.Context) error {
	return poll(ctx, "wait for the handler to reach Kafka", func(ctx context.Context) bool {
		status, _, _ := s.request(ctx, "GET", s.url("Health"), "") // not yet, where that fails
		return status == 200
	})
}

// audit waits until the outbox is empty, and compares the answers to the callers with the topic.
func (s *stand) audit(ctx context.Context, row *report.Row, limit time.Duration) (audit.Report, error) {
	left, err := s.drained(ctx, limit)
	if err != nil {
		return audit.Report{}, err
	}
	reading, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	log, err := realkafka.Read(reading, s.cluster.Bootstrap(realkafka.Internal), s.topic) // a client that the handler does not use
	if err != nil {
		return audit.Report{}, err
	}
	poisoned, err := count(ctx, s.queue.poison)
	if err != nil {
		return audit.Report{}, err
	}
	rep := audit.Compare(s.all(), log)
	row.Note("%s.", &rep)
	row.Sum = &report.Sum{Stored: rep.Stored, Lost: len(rep.Lost), Copies: rep.Copies}
	row.Count("messages left in the outbox after "+report.Span(limit), left, 0)
	row.Count("lost", len(rep.Lost), 0)
	row.Count("answers with a wrong place, and records that nobody sent", rep.Elsewhere+rep.Foreign, 0)
	row.Count("poisoned", poisoned, 0)
	return rep, nil
}

// unnoticed checks that callers did not notice a failure, and that it made no more copies than permitted.
func (s *stand) unnoticed(row *report.Row, rep *audit.Report, copies int) {
	row.Count("events not answered 2xx", rep.Not2xx(), 0)
	row.Count("copies", rep.Copies, copies)
	row.Time("slowest answer", audit.Percentile(s.all(), 1), slowestAnswer)
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
