// Package diagnose examines a Kafka cluster in the way the producer uses it, and tells an operator what would prevent
// records from being stored. It stores none.
package diagnose

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"userrelay/handler/kafka"
	"userrelay/handler/kafka/wire"
)

// Finding is the result of one step of a diagnosis.
type Finding struct {
	Subject string // "broker kafka-1:9093", "topic user-events"
	Text    string // what was found, and how to fix it if it is wrong
	Grade   Grade
}

// Grade is the severity of a finding.
type Grade int

// The grades.
const (
	Good    Grade = iota
	Warning       // it works, but records may be lost or a problem may stay hidden
	Failure       // registrations cannot be stored, or a listed broker cannot be used
)

// Run tries each step of storing a record without storing one: each broker of the list, with TLS and login; the topic,
// and a leader for each partition; each leader, at the address that the cluster gives for it, and the right to write
// there; and the topic's configuration. It stops when the next step cannot work. Findings contain nothing that brokers
// sent except their addresses.
func Run(ctx context.Context, c kafka.Config) []Finding {
	dialer := wire.NewDialer(c.Wire())
	defer dialer.Close()
	d := &diagnosis{config: c, cluster: wire.NewCluster(c.Brokers, c.Topic, dialer)}
	if !d.brokers(ctx) || !d.topic() {
		return d.found
	}
	d.leaders(ctx)
	d.rules(ctx)
	return d.found
}

// diagnosis is the state of a run.
type diagnosis struct {
	config  kafka.Config
	cluster *wire.Cluster
	found   []Finding
	asked   string     // a broker of the list that answers
	view    *wire.View // what it told
}

func (d *diagnosis) say(grade Grade, subject, text string) {
	d.found = append(d.found, Finding{subject, text, grade})
}

func (d *diagnosis) sayTopic(grade Grade, format string, args ...any) {
	d.say(grade, "topic "+d.config.Topic, fmt.Sprintf(format, args...))
}

// brokers asks all brokers of the list for the topic, concurrently. It returns false if none answers.
func (d *diagnosis) brokers(ctx context.Context) bool {
	type answer struct {
		view *wire.View
		err  error
	}
	answers := make([]answer, len(d.config.Brokers))
	var tries sync.WaitGroup
	for i, address := range d.config.Brokers {
		tries.Go(func() { answers[i].view, answers[i].err = d.ask(ctx, address) })
	}
	tries.Wait()
	clusters := map[string]bool{}
	for i, address := range d.config.Brokers {
		a := answers[i]
		if a.err != nil {
			d.say(Failure, "broker "+address, wire.ExplainAt(a.err, wire.ByBrokers))
			continue
		}
		d.say(Good, "broker "+address, "answers"+secured(d.config))
		if a.view.Cluster != "" {
			clusters[a.view.Cluster] = true
		}
		if d.view == nil || d.view.Err != wire.CodeNone && a.view.Err == wire.CodeNone {
			d.asked, d.view = address, a.view
		}
	}
	if len(clusters) > 1 {
		d.say(Failure, "KAFKA_BROKERS", fmt.Sprintf("names brokers of %d different clusters, and records go to any of them: keep those of one", len(clusters)))
	}
	return d.view != nil
}

// ask asks a broker for the topic.
func (d *diagnosis) ask(ctx context.Context, address string) (v *wire.View, err error) {
	err = d.cluster.With(ctx, address, func(l *wire.Conn, deadline time.Time) (err error) {
		v, err = l.Metadata(deadline, d.config.Topic)
		return err
	})
	return v, err
}

func secured(c kafka.Config) string {
	switch {
	case c.TLS != nil && c.SASL != nil:
		return " over TLS and accepts the login (" + c.SASL.Name() + ")"
	case c.SASL != nil:
		return " without encryption and accepts the login (" + c.SASL.Name() + ")"
	case c.TLS != nil:
		return " over TLS"
	default:
		return ", without encryption or login"
	}
}

// topic reports whether the topic exists, and which of its partitions have no leader. It returns false if there is no
// topic.
func (d *diagnosis) topic() bool {
	if err := d.view.Problem(); err != nil {
		d.sayTopic(Failure, "%s", wire.Explain(wire.Fail("look up the topic", err, false)))
		return false
	}
	d.sayTopic(Good, "exists, with %s", counted(len(d.view.Partitions), "partition"))
	var leaderless, unlisted, replicas []int32
	for i, leader := range d.view.Leaders() {
		switch q := d.view.Partitions[i]; {
		case leader != wire.NoLeader:
		case q.Err == wire.CodeListenerNotFound || q.Leader >= 0: // its leader is alive, but not in the list of brokers
			unlisted = append(unlisted, int32(i))
		default:
			leaderless = append(leaderless, int32(i))
			replicas = append(replicas, q.Replicas...)
		}
	}
	if len(leaderless) > 0 {
		d.sayTopic(Failure, "%s no leader, and no record can be stored there: start the brokers that have replicas (%s)",
			listed("partition", leaderless, "has", "have"), listed("broker", replicas, "", ""))
	}
	if len(unlisted) > 0 {
		d.sayTopic(Failure, "%s no leader that can be reached, and no record can be stored there: %s",
			listed("partition", unlisted, "has", "have"), wire.AdviceListener)
	}
	return true
}

// counted returns "1 partition" or "2 partitions".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// listed returns "partition 1 has" or "partitions 1, 3 have".
func listed(what string, numbers []int32, one, more string) string {
	const most = 12
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.Itoa(int(n))
	}
	verb := more
	switch {
	case len(texts) == 1:
		verb = one
	case len(texts) > most:
		texts = append(texts[:most], fmt.Sprintf("and %d more", len(texts)-most))
		what += "s"
	default:
		what += "s"
	}
	return strings.TrimSpace(what + " " + strings.Join(texts, ", ") + " " + verb)
}

// shown returns an address from a cluster if it is a valid one. Other text is not repeated.
func shown(address string) (string, bool) {
	const longest = 255 // bytes of a name in DNS
	host, port, err := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	odd := strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._:%", r)
	})
	if err != nil || host == "" || len(host) > longest || odd || number < 1 || number > 65535 {
		return "an address that is not host:port", false
	}
	return address, true
}
