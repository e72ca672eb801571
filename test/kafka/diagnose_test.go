package kafka_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/handler/kafka/diagnose"
	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// Listeners of TestDiagnose's cluster on which brokers 2 and 3 advertise wrong addresses.
const (
	right       = realkafka.Plaintext
	rightLogin  = realkafka.SASLPlaintext
	unreachable = realkafka.SASLReauth // broker 2 has a name that nobody knows, broker 3 a port where nobody listens
	wrongName   = realkafka.SASLSSL    // broker 2 has a name that is not in its certificate
	wrongBroker = realkafka.SSL        // broker 2 has the address of broker 1
	nobody      = "127.0.0.1:1"
	unknownName = "kafka.invalid:9092"
)

// diagnosed is a cluster of three brokers with several kinds of topics.
type diagnosed struct {
	*realkafka.Cluster
}

func startDiagnosed(t *testing.T) diagnosed {
	t.Helper()
	first := "" // address of broker 1 on wrongBroker
	c := diagnosed{kafkatest.Start(t, realkafka.Options{
		Nodes: 3, Listeners: []realkafka.Listener{right, rightLogin, unreachable, wrongName, wrongBroker},
		BrokerCert: realkafka.CertSpec{Hosts: []string{"127.0.0.1"}},
		Advertise: func(node int, l realkafka.Listener, addr string) (string, error) {
			switch {
			case l == wrongBroker && node == 1:
				first = addr
			case l == wrongBroker && node == 2:
				return first, nil
			case l == unreachable && node == 2:
				return unknownName, nil
			case l == unreachable && node == 3:
				return nobody, nil
			case l == wrongName && node == 2:
				return strings.Replace(addr, "127.0.0.1", "localhost", 1), nil
			}
			return addr, nil
		},
	})}
	c.topic(t, "spread", 3, 1, "min.insync.replicas=1")
	c.topic(t, "single", 1, 1, "min.insync.replicas=1")
	c.topic(t, "two", 3, 2)
	c.topic(t, "three", 3, 3)
	c.topic(t, "insync-one", 1, 3, "min.insync.replicas=1")
	c.topic(t, "tiny", 1, 3, "max.message.bytes=300")
	c.topic(t, "small", 1, 3, "max.message.bytes=2000")
	c.topic(t, "strict-clock", 1, 3, "message.timestamp.before.max.ms=60000", "message.timestamp.after.max.ms=30000")
	c.topic(t, "no-write", 3, 3)
	deny(t, c.Cluster, "no-write", kmsg.ACLOperationWrite)
	return c
}

// topic creates a topic with a configuration, a list of name=value.
func (c diagnosed) topic(t *testing.T, name string, partitions, copies int, config ...string) {
	t.Helper()
	rules := map[string]string{}
	for _, rule := range config {
		k, v, _ := strings.Cut(rule, "=")
		rules[k] = v
	}
	if err := c.CreateTopic(t.Context(), name, partitions, copies, rules); err != nil {
		t.Fatal(err)
	}
}

// by returns a configuration for a listener of broker 1.
func (c diagnosed) by(l realkafka.Listener, topic string, edit ...func(*kafka.Config)) kafka.Config {
	config := kafka.Config{Brokers: []string{c.Node(1).Addr(l)}, Topic: topic, ClientID: "test"}
	for _, f := range edit {
		f(&config)
	}
	return config
}

func as(user, password string) func(*kafka.Config) {
	return func(c *kafka.Config) { c.SASL = kafka.Plain(user, password) }
}

func over(config *tls.Config) func(*kafka.Config) { return func(c *kafka.Config) { c.TLS = config } }

// lines returns findings as -check prints them.
func lines(found []diagnose.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s\n", [...]string{"ok", "WARN", "FAIL"}[f.Grade], f.Subject, f.Text)
	}
	return b.String()
}

// wantLines checks that each line matches its pattern, in this order.
func wantLines(t *testing.T, found []diagnose.Finding, want ...string) {
	t.Helper()
	all := lines(found)
	if got := strings.Split(strings.TrimSuffix(all, "\n"), "\n"); len(got) == len(want) {
		for i, w := range want {
			if !regexp.MustCompile("^" + w).MatchString(got[i]) {
				t.Errorf("finding %q, want %s", got[i], w)
			}
		}
	} else {
		t.Errorf("%d findings, want %d:\n%s", len(got), len(want), all)
	}
	if strings.Contains(all, "-secret") || strings.Contains(all, marker) {
		t.Errorf("a secret is told:\n%s", all)
	}
}

// TestDiagnose examines a cluster of three brokers through listeners of which some advertise wrong addresses, and then
// the same cluster with one broker stopped.
func TestDiagnose(t *testing.T) { //nolint:tparallel // one step follows the other
	t.Parallel()
	c := startDiagnosed(t)
	t.Run("all there", c.allThere)
	records, err := realkafka.Read(t.Context(), c.Bootstrap(right), "spread")
	if err != nil || len(records) != 0 {
		t.Errorf("the diagnosis left %d records (%v)", len(records), err)
	}
	t.Run("what is told of sizes is so", c.sizes)
	t.Run("one stopped", c.oneStopped)
}

func (c diagnosed) allThere(t *testing.T) {
	t.Helper()
	const (
		reached = "ok broker .*: answers"
		one     = "WARN topic .*: acks=all means one copy: the topic has one replica"
		copies  = "ok topic .*: acks=all means at least 2 copies: 3 replicas"
	)
	ca := c.CA()
	certified := must.Get[*tls.Config](t)(ca.ClientWith(must.Get[realkafka.Cert](t)(ca.Issue(realkafka.CertSpec{}))))
	alice, mallory := as(realkafka.User, realkafka.Password), as(realkafka.OtherUser, realkafka.OtherPassword)
	with := func(brokers ...string) func(*kafka.Config) {
		return func(k *kafka.Config) { k.Brokers = append(k.Brokers, brokers...) }
	}
	exists := func(partitions string) string { return "ok topic .*: exists, with " + partitions + "$" }
	const writable = "ok topic .*: may be written to"
	for name, tt := range map[string]struct {
		config kafka.Config
		want   []string
	}{
		"one partition, one copy": {c.by(right, "single"), []string{reached + ", without encryption or login", exists("1 partition"), writable, one}},
		"three copies":            {c.by(right, "three"), []string{reached, exists("3 partitions"), writable, copies}},
		"min.insync.replicas 1":   {c.by(right, "insync-one"), []string{reached, exists("1 partition"), writable, "WARN topic .*: acks=all means one copy: .*min.insync.replicas is 1"}},
		"one broker of two is dead": {
			c.by(right, "spread", with(nobody)),
			[]string{reached, "FAIL broker 127.0.0.1:1: .*refuses connections.*KAFKA_BROKERS", exists("3 partitions"), writable, one},
		},
		"no such topic":  {c.by(right, "nowhere"), []string{reached, "FAIL topic .*: the topic does not exist"}},
		"wrong password": {c.by(rightLogin, "spread", as(realkafka.User, "wrong-"+marker)), []string{"FAIL broker .*KAFKA_SASL_PASSWORD"}},
		"a login":        {c.by(rightLogin, "three", alice), []string{reached + ".* accepts the login \\(PLAIN\\)", exists("3 partitions"), writable, copies}},
		"a login where none is due": {
			c.by(right, "spread", alice), []string{"FAIL broker .*expects no login; see KAFKA_SECURITY_PROTOCOL"},
		},
		"no login where one is due": {c.by(rightLogin, "spread"), []string{"FAIL broker .*KAFKA_SASL_MECHANISM"}},
		"no TLS where it is due":    {c.by(wrongName, "spread", alice), []string{"FAIL broker .*wants TLS on this port; see KAFKA_SECURITY_PROTOCOL"}},
		"TLS where there is none": {
			c.by(rightLogin, "spread", alice, over(ca.Client())), []string{"FAIL broker .*in the TLS handshake: its port does not use TLS.*KAFKA_SECURITY_PROTOCOL"},
		},
		"no right to write": {
			c.by(rightLogin, "no-write", mallory), []string{reached, exists("3 partitions"), "FAIL topic .*WRITE on KAFKA_TOPIC", copies},
		},
		"addresses of no use": {
			c.by(unreachable, "spread", alice),
			[]string{
				reached, exists("3 partitions"),
				`FAIL broker 2 at kafka.invalid:9092: leads partition \d, .*name cannot be resolved.* advertised.listeners of broker 2 \(not KAFKA_BROKERS\)`,
				`FAIL broker 3 at 127.0.0.1:1: leads partition \d, .*refuses connections.* advertised.listeners of broker 3 \(not KAFKA_BROKERS\)`, one,
			},
		},
		"a name that is not in the certificate": {
			c.by(wrongName, "spread", alice, over(ca.Client())),
			[]string{reached, exists("3 partitions"), `FAIL broker 2 at localhost:\d+: leads partition \d, .*for another host name; see advertised.listeners of broker 2`, one},
		},
		"the address of another": {
			c.by(wrongBroker, "spread", over(certified)),
			[]string{reached, exists("3 partitions"), `FAIL broker 2 at .*: does not lead partition \d, .*advertised.listeners`, one},
		},
		"a strict clock": {
			c.by(right, "strict-clock"),
			[]string{
				reached, exists("1 partition"), writable, copies, `WARN topic .*before.max.ms is 1m0s: where this machine's clock .*\d{4}-\d\d-\d\dT`,
				"WARN topic .*after.max.ms is 30s: where this machine's clock ",
			},
		},
		"room for short ids only": {c.by(right, "small"), []string{reached, exists("1 partition"), writable, copies, "WARN topic .*max.message.bytes is 2000.*long user id"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantLines(t, diagnose.Run(t.Context(), tt.config), tt.want...)
		})
	}
}

// sizes checks that a topic that is too small for registrations is reported, and that one with the recommended size
// accepts a registration.
func (c diagnosed) sizes(t *testing.T) {
	t.Helper()
	found := diagnose.Run(t.Context(), c.by(right, "tiny"))
	told := regexp.MustCompile("FAIL topic tiny: it accepts no registration: .* needs about ([0-9]+)").FindStringSubmatch(lines(found))
	if told == nil {
		t.Fatalf("not told: %s", lines(found))
	}
	if err := c.store(t, "tiny"); delivery.ClassOf(err) != delivery.TooLarge {
		t.Errorf("error %v, want too large", err)
	}
	need := must.Get[int](t)(strconv.Atoi(told[1]))
	c.topic(t, "enough", 1, 3, "max.message.bytes="+strconv.Itoa(need+20)) // a source of another length
	if found := diagnose.Run(t.Context(), c.by(right, "enough")); strings.Contains(lines(found), "FAIL") {
		t.Errorf("found %s", lines(found))
	}
	if err := c.store(t, "enough"); err != nil {
		t.Error(err)
	}
}

// store stores a typical Auth0 registration.
func (c diagnosed) store(t *testing.T, topic string) error {
	t.Helper()
	p := newProducer(t, c.Bootstrap(right), topic)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	user := "auth0|" + strings.Repeat("a", 24)
	e := registration.Event{ID: registration.DeriveID("acme", user, ""), UserID: user, Source: "urn:auth0:acme", Time: time.Now()}
	_, err := p.Produce(ctx, e.Record(registration.Header{Key: "traceparent", Value: "00-" + strings.Repeat("1", 32) + "-" + strings.Repeat("1", 16) + "-01"}))
	return err
}

func (c diagnosed) oneStopped(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Node(3).Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for topic, line := range map[string]string{
		"spread": `FAIL topic spread: partition \d has no leader, .* \(broker 3\)`,
		"two":    `FAIL topic two: partitions \d, \d have fewer replicas in sync than min.insync.replicas \(2\)`,
		"three":  `WARN topic three: partitions 0, 1, 2 have just as many replicas in sync as min.insync.replicas`,
	} {
		found := ""
		wait.For(t, topic+": "+line, func() bool { // the other brokers hear of it a little later
			found = lines(diagnose.Run(t.Context(), c.by(right, topic)))
			return regexp.MustCompile(line).MatchString(found)
		})
		if fails := strings.Count(found, "FAIL"); fails != strings.Count(line, "FAIL") {
			t.Errorf("%d failures:\n%s", fails, found)
		}
	}
}
