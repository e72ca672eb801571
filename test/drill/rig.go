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
	"userrelay/test/faultproxy"
)

const (
	partitions = 4
	readLimit  = 2 * time.Minute // for all records of a topic
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
	proxy    *faultproxy.Proxy // between the broker's listener SASL_PLAINTEXT and its clients
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
		"userrelay/handler", "userrelay/test/drill/queue", "userrelay/test/drill/control")
	build.Dir = o.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	if r.queue, err = r.startQueue(ctx, "outbox"); err != nil {
		return nil, err
	}
	r.closers = append(r.closers, func() error { return r.queue.close() })
	return r, r.startBroker(ctx)
}

// startBroker starts the broker. Only clients of its listener SASL_PLAINTEXT connect through the proxy.
func (r *rig) startBroker(ctx context.Context) (err error) {
	r.say("starting Apache Kafka")
	if r.proxy, err = faultproxy.Listen(faultproxy.Options{Seed: 1}); err != nil { //nolint:contextcheck // the connections of a proxy have a life of their own
		return err
	}
	r.closers = append(r.closers, r.proxy.Close)
	r.cluster, err = realkafka.Start(ctx, realkafka.Options{
		Home: r.kafkaHome, Listeners: []realkafka.Listener{realkafka.Plaintext, realkafka.SASLPlaintext},
		Advertise: func(_ int, l realkafka.Listener, addr string) (string, error) {
			if l != realkafka.SASLPlaintext {
				return addr, nil
			}
			r.proxy.SetTarget(addr)
			return r.proxy.Addr(), nil
		},
	})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, r.cluster.Close)
	return nil
}

// close ends everything in reverse order of the start.
func (r *rig) close() error {
	var errs []error
	for _, closer := range slices.Backward(r.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

// ready repairs what the previous drill has broken.
func (r *rig) ready(ctx context.Context) error {
	if err := r.proxy.SetFaults(faultproxy.Faults{}); err != nil { //nolint:contextcheck // the connections of a proxy have a life of their own
		return err
	}
	if err := r.reviveBroker(ctx); err != nil {
		return err
	}
	return r.queue.ready(ctx)
}

// program is the path of a program that was built.
func (r *rig) program(name string) string { return filepath.Join(r.dir, name) }

// say prints a line of progress.
func (r *rig) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.progress, "%6.1f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// broker is the only one.
func (r *rig) broker() *realkafka.Node { return r.cluster.Node(1) }

// killBroker kills a broker, every second time after a moment in which it is halted with unread requests.
func killBroker(ctx context.Context, n *realkafka.Node, halted bool) error {
	if halted {
		if err := errors.Join(n.Pause(), pause(ctx, 200*time.Millisecond)); err != nil {
			return err
		}
	}
	return n.Kill()
}

// reviveBroker restarts or continues the broker.
func (r *rig) reviveBroker(ctx context.Context) error {
	if r.broker().Running() {
		return r.broker().Resume()
	}
	return r.broker().Restart(ctx)
}

// stand is a host with a handler, its own topic and an outbox, and the load on it.
type stand struct {
	*hosts
	rig     *rig
	cluster *realkafka.Cluster
	queue   *queue
	topic   string
	load    *callers
}

// standOptions are the parts of a stand. The zero value is the handler with the rig's own broker and queue.
type standOptions struct {
	program string             // "handler" or "control"
	cluster *realkafka.Cluster // and not the rig's
	brokers []string           // where clients of the cluster are sent to
	storage string             // connection string of the outbox
	queue   *queue
	env     []string
}

// stand starts a stand and waits until it answers. The caller must close it.
func (r *rig) stand(ctx context.Context, o standOptions) (*stand, error) {
	if o.program == "" {
		o.program = "handler"
	}
	if o.cluster == nil {
		o.cluster = r.cluster
	}
	if o.brokers == nil {
		o.brokers = o.cluster.Bootstrap(realkafka.Plaintext)
	}
	if o.queue == nil {
		o.queue = r.queue
	}
	if o.storage == "" {
		o.storage = o.queue.connection
	}
	r.topics++
	topic := fmt.Sprintf("drill-%d", r.topics)
	if err := o.cluster.CreateTopic(ctx, topic, partitions, 0, nil); err != nil {
		return nil, err
	}
	env := append(settings(o.brokers, topic, o.storage), o.env...)
	if r.short {
		// The host's polling interval and its retries after a minute would make the short form long.
		env = append(env, "AzureFunctionsJobHost__extensions__queues__maxPollingInterval=00:00:00.5",
			"AzureFunctionsJobHost__extensions__queues__visibilityTimeout=00:00:01")
	}
	h, err := startHosts(ctx, r.root, r.program(o.program), env, r.output)
	if err != nil {
		return nil, err
	}
	s := &stand{hosts: h, rig: r, cluster: o.cluster, queue: o.queue, topic: topic, load: newCallers(h.url("RegisterUser"), topic)}
	if err := s.healthy(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// close ends the stand, even when ctx has ended.
func (s *stand) close(ctx context.Context) error {
	s.load.close()
	return s.stop(ctx)
}

// audit waits until the outbox is empty, and compares the answers to the callers of a load with the topic.
func (s *stand) audit(ctx context.Context, row *report.Row, l *callers, limit time.Duration) (audit.Report, error) {
	left, err := s.drained(ctx, limit)
	if err != nil {
		return audit.Report{}, err
	}
	log, err := s.records(ctx)
	if err != nil {
		return audit.Report{}, err
	}
	poisoned, err := count(ctx, s.queue.poison)
	if err != nil {
		return audit.Report{}, err
	}
	rep := audit.Compare(l.all(), log)
	s.rig.say("  %s", &rep)
	row.Note("%s.", &rep)
	row.Sum = &report.Sum{Stored: rep.Stored, Lost: len(rep.Lost), Copies: rep.Copies}
	row.Count("messages left in the outbox after "+report.Span(limit), left, 0)
	row.Count("lost", len(rep.Lost), 0)
	row.Count("answers with a wrong place, and records that nobody sent", rep.Elsewhere+rep.Foreign, 0)
	row.Count("poisoned", poisoned, 0)
	return rep, nil
}

// drained waits until the outbox is empty or the time is over, and returns how many messages are left.
func (s *stand) drained(ctx context.Context, limit time.Duration) (left int, err error) {
	deadline, told := time.Now().Add(limit), time.Now()
	for {
		if left, err = count(ctx, s.queue.messages); err != nil || left == 0 || time.Now().After(deadline) {
			return left, err
		}
		if time.Since(told) >= 5*time.Second {
			s.rig.say("  %d messages in the outbox", left)
			told = time.Now()
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return left, err
		}
	}
}

// records reads the stand's topic with an independent client.
func (s *stand) records(ctx context.Context) ([]realkafka.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	return realkafka.Read(ctx, s.cluster.Bootstrap(realkafka.Internal), s.topic)
}

// settings are the handler's, NAME=VALUE.
func settings(brokers []string, topic, storage string) []string {
	return []string{
		"FUNCTIONS_WORKER_RUNTIME=Custom", "LOG_LEVEL=warn",
		"KAFKA_BROKERS=" + strings.Join(brokers, ","), "KAFKA_TOPIC=" + topic, "AzureWebJobsStorage=" + storage,
	}
}
