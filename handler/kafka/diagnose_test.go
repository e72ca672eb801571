package kafka_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/identity"
	"userrelay/handler/kafka"
	"userrelay/handler/kafka/diagnose"
	"userrelay/local/realkafka"
)

// Findings of a working cluster whose topic has one replica.
const (
	reached  = "ok broker localhost:9001: answers, without encryption or login"
	exists   = "ok topic user-events: exists, with 3 partitions"
	writable = "ok topic user-events: may be written to"
	oneCopy  = "WARN topic user-events: acks=all means one copy"
	nowhere  = "FAIL broker 1 at an address that is not host:port: leads partition 1, and cannot be reached there: fix advertised.listeners"
)

// diagnose runs a diagnosis and checks that its lines, as -check prints them, begin like this, in this order, where "…"
// stands for any text; that there are no other lines; and that no line has text that brokers sent. It returns the
// lines, and how long it took.
func (v *virtual) diagnose(brokers []string, edit func(*kafka.Config), want ...string) (string, time.Duration) {
	v.Helper()
	config := kafka.Config{Brokers: brokers, Topic: topic, ClientID: "test", Dial: v.dial}
	if edit != nil {
		edit(&config)
	}
	start := time.Now()
	var found, pattern strings.Builder
	for _, f := range diagnose.Run(v.Context(), config) {
		fmt.Fprintf(&found, "%s %s: %s\n", [...]string{"ok", "WARN", "FAIL"}[f.Grade], f.Subject, f.Text)
	}
	text, took := found.String(), time.Since(start)
	for _, line := range want {
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + ".*\n")
	}
	if !regexp.MustCompile("^" + pattern.String() + "$").MatchString(text) {
		v.Errorf("found:\n%swant:\n%s", text, strings.Join(want, "\n"))
	}
	if strings.Contains(text, "secret") || strings.ContainsAny(text, "\x1b\r\u202e") {
		v.Errorf("what a broker sent is repeated: %q", text)
	}
	return text, took
}

// sets changes how broker 1 behaves.
func sets(m mode) spoiler { return func(v *virtual, _ *kfake.Cluster) { v.set("localhost:9002", m) } }

// closesAt has brokers close a connection at a request. Without nodes all do.
func closesAt(key kmsg.Key, nodes ...int32) spoiler {
	return func(_ *virtual, c *kfake.Cluster) {
		control(c, key, func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil, io.EOF, len(nodes) == 0 || slices.Contains(nodes, c.CurrentNode())
		})
	}
}

// host is metadata with another address of broker 1.
func host(host string, port int32) spoiler {
	return metadata(func(m *kmsg.MetadataResponse) { m.Brokers[1].Host, m.Brokers[1].Port = host, port })
}

// TestDiagnose has clusters of three brokers that cannot store records. KAFKA_BROKERS names the first.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	type part = kmsg.MetadataResponseTopicPartition
	const (
		unreachable = "FAIL topic user-events: partition 0 has no leader that can be reached…advertised.listeners"
		unusable    = "FAIL broker 1 at localhost:9002: leads partition 1, and cannot be used: …"
		misled      = ": does not lead partition 1, although the cluster says so…advertised.listeners"
	)
	for name, c := range map[string]struct {
		spoil spoiler
		want  []string // between exists and oneCopy
	}{
		"a leader refuses":      {sets(refuses), []string{unusable + "refuses connections…advertised.listeners of broker 1 (not KAFKA_BROKERS)"}},
		"a leader is silent":    {sets(mute), []string{unusable + "does not answer in time"}},
		"a leader closes":       {closesAt(kmsg.Produce, 1), []string{unusable + "the broker closes connections "}}, // at what a record needs
		"an address of another": {host("localhost", 9003), []string{"FAIL broker 1 at localhost:9003" + misled}},
		"the topic is unknown":  {answers(kmsg.ListOffsets, 3, 1), []string{"FAIL broker 1 at localhost:9002" + misled}},
		"no leader": {partition(1, func(q *part) { q.Leader, q.ErrorCode, q.Replicas = -1, 5, []int32{8, 7} }), []string{
			"FAIL topic user-events: partition 1 has no leader, …brokers 7, 8", writable,
		}},
		"no leaders": {metadata(func(m *kmsg.MetadataResponse) {
			for i := range m.Topics[0].Partitions {
				m.Topics[0].Partitions[i].Leader = -1
			}
		}), []string{"FAIL topic user-events: partitions 0, 1, 2 have no leader, …brokers 0, 1, 2"}},
		"a leader without the listener":    {partition(0, func(q *part) { q.Leader, q.ErrorCode = -1, 72 }), []string{unreachable, writable}},
		"a leader that is not in the list": {partition(0, func(q *part) { q.Leader = 9 }), []string{unreachable, writable}},
		"a terminal's codes":               {host("secret\x1b[2J\r\nok broker", 9002), []string{nowhere}},
		"text that turns":                  {host("secret\u202e.example", 9002), []string{nowhere}},
		"no host":                          {host("", 9002), []string{nowhere}},
		"a long name":                      {host(strings.Repeat("secret", 60), 9002), []string{nowhere}},
		"no port":                          {host("localhost", 0), []string{nowhere}},
		"a negative port":                  {host("localhost", -9001), []string{nowhere}},
		"no right to idempotent writes":    {answers(kmsg.InitProducerID, 31), []string{"FAIL topic user-events: …IDEMPOTENT_WRITE"}},
		"no right at one leader":           {answers(kmsg.InitProducerID, 31, 1), []string{"FAIL topic user-events: …IDEMPOTENT_WRITE…(broker 1 says so)"}},
		"a coordinator that never loads": {answers(kmsg.InitProducerID, 14, 2), []string{
			"FAIL broker 2 at localhost:9003: leads partition 2, and cannot be used: the cluster is not ready",
		}},
	} {
		virtually(t, name, func(v *virtual) {
			b := v.three(3)
			c.spoil(v, b)
			v.diagnose(b.ListenAddrs()[:1], nil, append(append([]string{reached, exists}, c.want...), oneCopy)...)
		})
	}
}

// TestDiagnoseList has several brokers in KAFKA_BROKERS: one is down, all are silent, or one is another cluster's.
func TestDiagnoseList(t *testing.T) {
	t.Parallel()
	virtually(t, "a leader is down", func(v *virtual) {
		c := v.three(3)
		v.set("localhost:9003", refuses)
		v.diagnose(
			c.ListenAddrs(), nil, reached, "ok broker localhost:9002: answers", "FAIL broker localhost:9003: …refuses connections…KAFKA_BROKERS has another",
			exists, "FAIL broker 2 at localhost:9003: leads partition 2, …refuses connections: it is down…which has the same", oneCopy,
		)
	})
	virtually(t, "five are silent", func(v *virtual) { // they are tried concurrently
		var brokers, want []string
		for i := range 5 {
			brokers = append(brokers, fmt.Sprint("127.0.0.1:", 8001+i))
			v.set(brokers[i], mute)
			want = append(want, "FAIL broker "+brokers[i]+": …does not answer in time…wants TLS")
		}
		if _, took := v.diagnose(brokers, nil, want...); took != 5*time.Second {
			v.Errorf("it took %v", took)
		}
	})
	virtually(t, "two clusters", func(v *virtual) {
		one, other := v.three(3), v.broker(kfake.ClusterID("other"), kfake.Ports(9004))
		v.diagnose(
			append(other.ListenAddrs(), one.ListenAddrs()[0]), nil, "ok broker localhost:9004: answers", reached,
			"FAIL KAFKA_BROKERS: …2 different clusters", "ok topic user-events: exists, with 1 partition", writable, oneCopy,
		)
	})
}

// TestDiagnoseRules has topic configurations and their findings.
func TestDiagnoseRules(t *testing.T) {
	t.Parallel()
	profiles := func(c *kafka.Config) { c.Profiles = true }
	for name, c := range map[string]struct {
		rules string // name=value
		edit  func(*kafka.Config)
		want  string // beside what is said of copies; "": nothing
	}{
		"Kafka's own": {"max.message.bytes=1048588 message.timestamp.type=CreateTime message.timestamp.before.max.ms=9223372036854775807 " +
			"message.timestamp.after.max.ms=3600000", profiles, ""},
		"too small":          {"max.message.bytes=300", nil, "FAIL topic user-events: …max.message.bytes is 300…needs about 4…Set it to 1000000"},
		"too small for some": {"max.message.bytes=2000", nil, "WARN topic user-events: …max.message.bytes is 2000…long user id"},
		"enough for ids":     {"max.message.bytes=65536", nil, ""},
		"not for profiles":   {"max.message.bytes=65536", profiles, "WARN topic user-events: …RECORD_PROFILE=full…1000000"},
		"clock behind":       {"message.timestamp.before.max.ms=60000", nil, "WARN topic user-events: …before.max.ms is 1m0s…behind the broker's…2000-01-01T"},
		"clock ahead":        {"message.timestamp.after.max.ms=3599999", nil, "WARN topic user-events: …after.max.ms…ahead of the broker's…2000-01-01T"},
		"clock, before 3.6":  {"message.timestamp.difference.max.ms=5000", nil, "WARN topic user-events: …difference.max.ms is 5s"},
		"the broker's clock": {"message.timestamp.after.max.ms=1 message.timestamp.type=LogAppendTime", nil, ""},
		"schemas for values": {"confluent.value.schema.validation=true", nil, "FAIL topic user-events: …confluent.value.schema.validation is on"},
		"schemas for keys":   {"confluent.key.schema.validation=true", nil, "FAIL topic user-events: …confluent.key.schema.validation is on"},
		"no schemas":         {"confluent.key.schema.validation=false", nil, ""},
		"what is no number":  {"max.message.bytes=secret message.timestamp.after.max.ms=-1 secret=secret", nil, ""},
		"no answer":          {"", nil, "WARN topic user-events: …DESCRIBE_CONFIGS…max.message.bytes is 1000000"},
	} {
		virtually(t, name, func(v *virtual) {
			b := v.three(3)
			rules(c.rules)(v, b)
			want := []string{reached, exists, writable}
			if c.rules != "" {
				want = append(want, oneCopy)
			}
			if c.want != "" {
				want = append(want, c.want)
			}
			v.diagnose(b.ListenAddrs()[:1], c.edit, want...)
		})
	}
}

// TestDiagnoseCopies has topics with numbers of replicas, of which some are in sync, and a rule for these.
func TestDiagnoseCopies(t *testing.T) {
	t.Parallel()
	const (
		enough = "ok topic user-events: acks=all means at least 2 copies: "
		fewer  = "FAIL topic user-events: partition 1 has fewer replicas in sync than min.insync.replicas (2)"
		scarce = "WARN topic user-events: partition 1 has just as many replicas in sync as min.insync.replicas (2)"
		above  = "WARN topic user-events: its min.insync.replicas (3) is above the number of its replicas (2)"
	)
	for _, c := range []struct {
		rule        string
		has, insync int // replicas of partition 1
		replicas    int // of the others
		want        []string
	}{
		{"1", 3, 3, 3, []string{oneCopy + ": the topic has 3 replicas, but min.insync.replicas is 1"}},
		{"2", 3, 3, 3, []string{enough}},
		{"2", 3, 2, 3, []string{scarce, enough}},
		{"2", 3, 1, 3, []string{fewer, enough}},
		{"2", 2, 1, 3, []string{fewer, enough}},
		{"3", 2, 2, 2, []string{above, enough}},
	} {
		virtually(t, fmt.Sprint(c), func(v *virtual) {
			b := v.three(3)
			metadata(func(m *kmsg.MetadataResponse) {
				for i := range m.Topics[0].Partitions {
					q, all := &m.Topics[0].Partitions[i], []int32{0, 1, 2}
					if q.Replicas, q.ISR = all[:c.replicas], all[:c.replicas]; i == 1 {
						q.Replicas, q.ISR = all[:c.has], all[:c.insync]
					}
				}
			})(v, b)
			rules("min.insync.replicas="+c.rule)(v, b)
			v.diagnose(b.ListenAddrs()[:1], nil, append([]string{reached, exists, writable}, c.want...)...)
		})
	}
}

// rules has brokers answer a topic's configuration, or without rules that the right to read it is missing.
func rules(text string) spoiler {
	return func(_ *virtual, c *kfake.Cluster) {
		answer(c, kmsg.DescribeConfigs, func(answer *kmsg.DescribeConfigsResponse) {
			about := kmsg.NewDescribeConfigsResponseResource()
			about.ResourceType, about.ResourceName = kmsg.ConfigResourceTypeTopic, topic
			if text == "" {
				about.ErrorCode, about.ErrorMessage = 29, new("secret")
			}
			for text := range strings.FieldsSeq("min.insync.replicas=1 " + text) {
				rule := kmsg.NewDescribeConfigsResponseResourceConfig()
				name, value, _ := strings.Cut(text, "=")
				rule.Name, rule.Value = name, &value
				about.Configs = append(about.Configs, rule)
			}
			answer.Resources = append(answer.Resources, about)
		})
	}
}

// TestDiagnoseBlame makes a connection to a broker of KAFKA_BROKERS fail at each step.
func TestDiagnoseBlame(t *testing.T) {
	t.Parallel()
	dials := func(err error) func(*kafka.Config) {
		return func(c *kafka.Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		}
	}
	token := func(err *net.DNSError) func(*kafka.Config) {
		return func(c *kafka.Config) {
			c.SASL = kafka.OAuthBearer(identity.NewTokens(func(ctx context.Context) (string, time.Time, error) {
				if err.IsTimeout {
					<-ctx.Done()
				}
				return "", time.Time{}, err
			}), nil)
		}
	}
	takesAny := func(_ *virtual, c *kfake.Cluster) {
		answer(c, kmsg.SASLHandshake, func(*kmsg.SASLHandshakeResponse) {})
	}
	noName, slowName := &net.DNSError{Err: "no such host", IsNotFound: true}, &net.DNSError{Err: "timeout", IsTimeout: true}
	old := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) // a bubble begins in 2000
	certs := map[string]realkafka.CertSpec{
		"names no host":      {CommonName: "localhost", Hosts: []string{}},
		"names another host": {Hosts: []string{"kafka.example.com"}},
		"expired":            {NotBefore: old, NotAfter: old.Add(time.Hour)},
	}
	for name, c := range map[string]struct {
		edit  func(*kafka.Config)
		spoil spoiler
		want  string
		not   string // what is not to blame
	}{
		"no such name":         {dials(noName), nil, "name cannot be resolved…DNS does not have it…KAFKA_BROKERS", "advertised"},
		"a mute name server":   {dials(slowName), nil, "name cannot be resolved…the name server does not answer", "firewall"},
		"no way":               {dials(syscall.EHOSTUNREACH), nil, "there is no route to…KAFKA_BROKERS", "firewall"},
		"dropped":              {dials(context.DeadlineExceeded), nil, "firewall…KAFKA_BROKERS", "advertised"},
		"a slow token":         {token(slowName), takesAny, "no token for the login came in time…KAFKA_OAUTH_SCOPE", "firewall"},
		"no token":             {token(noName), takesAny, "no token for the login was issued", "KAFKA_BROKERS"},
		"closes at first":      {nil, closesAt(kmsg.ApiVersions), "closes connections at the first request…KAFKA_SECURITY_PROTOCOL", "MECHANISM"},
		"closes at the login":  {login("u", "secret"), closesAt(kmsg.SASLAuthenticate), "closes connections in the login…KAFKA_SASL_PASSWORD", "TLS"},
		"closes without login": {nil, closesAt(kmsg.Metadata), "closes connections…wants a login…KAFKA_SASL_MECHANISM", "TLS"},
		"names no host":        {nil, nil, "no subject alternative name", "TLS_CA"},
		"names another host":   {nil, nil, "for another host name…KAFKA_BROKERS", "TLS_CA"},
		"expired":              {nil, nil, "has expired", "TLS_CA"},
	} {
		virtually(t, name, func(v *virtual) {
			var opts []kfake.Opt
			if strings.Contains(name, "token") || strings.Contains(name, "at the login") {
				opts = append(opts, kfake.EnableSASL())
			}
			if spec, ok := certs[name]; ok {
				server, client := secure(v.T, spec)
				opts, c.edit = append(opts, kfake.TLS(server)), func(k *kafka.Config) { k.TLS = client }
			}
			b := v.broker(opts...)
			if c.spoil != nil {
				c.spoil(v, b)
			}
			text, took := v.diagnose(b.ListenAddrs(), c.edit, "FAIL broker localhost:9001: …"+c.want)
			if strings.Contains(text, c.not) || took > 5*time.Second {
				v.Errorf("%q is to blame for nothing; after %v: %s", c.not, took, text)
			}
		})
	}
}
