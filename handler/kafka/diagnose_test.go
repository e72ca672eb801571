package kafka_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/identity"
	"userrelay/handler/kafka"
	"userrelay/handler/kafka/diagnose"
	"userrelay/local/realkafka"
)

// report is the result of a diagnosis, a line for each finding as -check prints it.
func report(found []diagnose.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s\n", [...]string{"ok", "WARN", "FAIL"}[f.Grade], f.Subject, f.Text)
	}
	return b.String()
}

// check checks that the lines have these beginnings and parts, in this order, that there are no other lines, and that
// no line has text that brokers sent.
func check(t *testing.T, found []diagnose.Finding, want ...[]string) {
	t.Helper()
	text := report(found)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(want) {
		t.Errorf("%d findings, want %d:\n%s", len(lines), len(want), text)
		return
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w[0]) {
			t.Errorf("finding %q, want it to begin with %q", lines[i], w[0])
		}
		for _, part := range w[1:] {
			if !strings.Contains(lines[i], part) {
				t.Errorf("finding %q, want %q in it", lines[i], part)
			}
		}
	}
	if strings.Contains(text, "secret") || strings.ContainsAny(text, "\x1b\r\u202e") {
		t.Errorf("what a broker sent is repeated: %q", text)
	}
}

// diagnose runs a diagnosis of the network's brokers, and also returns how long it took.
func (v *virtual) diagnose(t *testing.T, brokers []string, edit ...func(*kafka.Config)) ([]diagnose.Finding, time.Duration) {
	t.Helper()
	config := kafka.Config{Brokers: brokers, Topic: topic, ClientID: "test", Dial: v.dial}
	for _, f := range edit {
		f(&config)
	}
	start := time.Now()
	return diagnose.Run(t.Context(), config), time.Since(start)
}

// Findings of a working cluster whose topic has one replica.
func exists(what string) []string { return []string{"ok topic user-events: exists, with " + what} }

func writable() []string { return []string{"ok topic user-events: may be written to"} }
func oneCopy() []string  { return []string{"WARN topic user-events: acks=all means one copy"} }

func answers(port int) []string {
	return []string{fmt.Sprintf("ok broker localhost:%d: answers", port)}
}

// TestDiagnoseSilentBrokers has five brokers that accept connections and do not answer: they are tried concurrently.
func TestDiagnoseSilentBrokers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		var brokers []string
		var want [][]string
		for i := range 5 {
			brokers = append(brokers, fmt.Sprint("127.0.0.1:", 8001+i))
			v.set(brokers[i], mute)
			want = append(want, []string{"FAIL broker " + brokers[i] + ": ", "does not answer in time", "wants TLS"})
		}
		found, took := v.diagnose(t, brokers)
		check(t, found, want...)
		if took != 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestDiagnoseLeaders has an unusable leader that KAFKA_BROKERS does not name.
func TestDiagnoseLeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, v *virtual, c *kfake.Cluster)
		want  [][]string
	}{
		"refused": {
			func(t *testing.T, v *virtual, _ *kfake.Cluster) { t.Helper(); v.set("localhost:9002", refuses) },
			[][]string{{
				"FAIL broker 1 at localhost:9002: leads partitions 1, 4, and cannot be used: ", "refuses connections",
				"advertised.listeners of broker 1 (not KAFKA_BROKERS)",
			}},
		},
		"silent": {
			func(t *testing.T, v *virtual, _ *kfake.Cluster) { t.Helper(); v.set("localhost:9002", mute) },
			[][]string{{"FAIL broker 1 at localhost:9002: leads partitions 1, 4, and cannot be used: ", "does not answer in time"}},
		},
		"closes at what a record needs": {
			func(t *testing.T, _ *virtual, c *kfake.Cluster) {
				t.Helper()
				c.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					return nil, io.EOF, c.CurrentNode() == 1
				})
			},
			[][]string{{"FAIL broker 1 at localhost:9002: leads partitions 1, 4, and cannot be used: the broker closes connections "}},
		},
		"leads to another": {
			func(t *testing.T, _ *virtual, c *kfake.Cluster) {
				t.Helper()
				c.ControlKey(kmsg.Metadata.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					return metadataAnswer(r, 3, func(m *kmsg.MetadataResponse) { m.Brokers[1].Port = 9003 }), nil, true
				})
				for i := range 3 { // as the metadata above say
					if err := c.MoveTopicPartition(topic, int32(i), int32(i)); err != nil {
						t.Fatal(err)
					}
				}
			},
			[][]string{{"FAIL broker 1 at localhost:9003: does not lead partition 1, although the cluster says so", "advertised.listeners"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				cluster := v.three(t, 6)
				c.spoil(t, v, cluster)
				found, _ := v.diagnose(t, cluster.ListenAddrs()[:1])
				want := append([][]string{answers(9001), {"ok topic user-events: exists, with "}}, c.want...)
				check(t, found, append(want, oneCopy())...)
			})
		})
	}
}

// TestDiagnoseLeaderInTheList has a leader that is down and is also in KAFKA_BROKERS.
func TestDiagnoseLeaderInTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.three(t, 3)
		v.set(c.ListenAddrs()[2], refuses)
		found, _ := v.diagnose(t, c.ListenAddrs())
		check(
			t, found, answers(9001), answers(9002), []string{"FAIL broker localhost:9003: ", "refuses connections", "KAFKA_BROKERS"},
			exists("3 partitions"), []string{"FAIL broker 2 at localhost:9003: leads partition 2, ", "refuses connections: it is down", "which has the same"}, oneCopy(),
		)
	})
}

// metadataAnswer is the metadata of brokers 0 to n-1 for a topic of which each leads one partition.
func metadataAnswer(r kmsg.Request, n int32, edit func(*kmsg.MetadataResponse)) kmsg.Response {
	m, ok := r.ResponseKind().(*kmsg.MetadataResponse)
	if !ok {
		return nil
	}
	name := topic
	about := kmsg.NewMetadataResponseTopic()
	about.Topic = &name
	for i := range n {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = i, "localhost", 9001+i
		m.Brokers = append(m.Brokers, b)
		q := kmsg.NewMetadataResponseTopicPartition()
		q.Partition, q.Leader, q.Replicas, q.ISR = i, i, []int32{i}, []int32{i}
		about.Partitions = append(about.Partitions, q)
	}
	m.Topics = append(m.Topics, about)
	edit(m)
	return m
}

// TestDiagnoseMetadata has the metadata of clusters that cannot store records.
func TestDiagnoseMetadata(t *testing.T) {
	t.Parallel()
	host := func(host string) func(*kmsg.MetadataResponse) {
		return func(m *kmsg.MetadataResponse) { m.Brokers[1].Host = host }
	}
	nowhere := []string{"FAIL broker 1 at an address that is not host:port: leads partition 1, ", "advertised.listeners"}
	for name, c := range map[string]struct {
		edit func(*kmsg.MetadataResponse)
		want [][]string
	}{
		"no leader": {
			func(m *kmsg.MetadataResponse) {
				q := &m.Topics[0].Partitions[1]
				q.Leader, q.ErrorCode, q.Replicas = -1, 5, []int32{8, 7}
			},
			[][]string{{"FAIL topic user-events: partition 1 has no leader, ", "brokers 7, 8"}, writable()},
		},
		"no leaders": {
			func(m *kmsg.MetadataResponse) {
				for i := range m.Topics[0].Partitions {
					m.Topics[0].Partitions[i].Leader = -1
				}
			},
			[][]string{{"FAIL topic user-events: partitions 0, 1 have no leader, ", "brokers 0, 1"}},
		},
		"a leader without the listener": {
			func(m *kmsg.MetadataResponse) {
				m.Topics[0].Partitions[0].Leader, m.Topics[0].Partitions[0].ErrorCode = -1, 72
			},
			[][]string{{"FAIL topic user-events: partition 0 has no leader that can be reached", "advertised.listeners"}, writable()},
		},
		"a leader that is not in the list": {
			func(m *kmsg.MetadataResponse) { m.Topics[0].Partitions[0].Leader = 9 },
			[][]string{{"FAIL topic user-events: partition 0 has no leader that can be reached", "advertised.listeners"}, writable()},
		},
		"a terminal's codes": {host("secret\x1b[2J\r\nok broker"), [][]string{nowhere}},
		"text that turns":    {host("secret\u202e.example"), [][]string{nowhere}},
		"no host":            {host(""), [][]string{nowhere}},
		"a long name":        {host(strings.Repeat("secret", 60)), [][]string{nowhere}},
		"no port":            {func(m *kmsg.MetadataResponse) { m.Brokers[1].Port = 0 }, [][]string{nowhere}},
		"a negative port":    {func(m *kmsg.MetadataResponse) { m.Brokers[1].Port = -9001 }, [][]string{nowhere}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				b := v.broker(t, kfake.NumBrokers(2), kfake.Ports(9001, 9002), kfake.SeedTopics(2, topic))
				for i := range int32(2) {
					if err := b.MoveTopicPartition(topic, i, i); err != nil {
						t.Fatal(err)
					}
				}
				b.ControlKey(kmsg.Metadata.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
					b.KeepControl()
					return metadataAnswer(r, 2, c.edit), nil, true
				})
				found, _ := v.diagnose(t, b.ListenAddrs()[:1])
				want := append([][]string{answers(9001), exists("2 partitions")}, c.want...)
				check(t, found, append(want, oneCopy())...)
			})
		})
	}
}

// TestDiagnoseRules has topic configurations and their findings.
func TestDiagnoseRules(t *testing.T) {
	t.Parallel()
	profiles := func(c *kafka.Config) { c.Profiles = true }
	ids := func(c *kafka.Config) { c.Profiles = false }
	for name, c := range map[string]struct {
		rules map[string]string
		edit  func(*kafka.Config)
		want  []string // beside what is said of copies
	}{
		"Kafka's own": {map[string]string{
			"max.message.bytes": "1048588", "message.timestamp.type": "CreateTime",
			"message.timestamp.before.max.ms": "9223372036854775807", "message.timestamp.after.max.ms": "3600000",
		}, profiles, nil},
		"too small":           {map[string]string{"max.message.bytes": "300"}, ids, []string{"FAIL", "max.message.bytes is 300", "needs about 4", "Set it to 1000000"}},
		"too small for some":  {map[string]string{"max.message.bytes": "2000"}, ids, []string{"WARN", "max.message.bytes is 2000", "long user id"}},
		"enough for ids":      {map[string]string{"max.message.bytes": "65536"}, ids, nil},
		"not for profiles":    {map[string]string{"max.message.bytes": "65536"}, profiles, []string{"WARN", "RECORD_PROFILE=full", "1000000"}},
		"clock behind":        {map[string]string{"message.timestamp.before.max.ms": "60000"}, ids, []string{"WARN", "before.max.ms is 1m0s", "behind the broker's", "2000-01-01T"}},
		"clock ahead":         {map[string]string{"message.timestamp.after.max.ms": "3599999"}, ids, []string{"WARN", "after.max.ms", "ahead of the broker's", "2000-01-01T"}},
		"clock, before 3.6":   {map[string]string{"message.timestamp.difference.max.ms": "5000"}, ids, []string{"WARN", "difference.max.ms is 5s"}},
		"the broker's clock":  {map[string]string{"message.timestamp.after.max.ms": "1", "message.timestamp.type": "LogAppendTime"}, ids, nil},
		"schemas for values":  {map[string]string{"confluent.value.schema.validation": "true"}, ids, []string{"FAIL", "confluent.value.schema.validation is on"}},
		"schemas for keys":    {map[string]string{"confluent.key.schema.validation": "true"}, ids, []string{"FAIL", "confluent.key.schema.validation is on"}},
		"no schemas":          {map[string]string{"confluent.key.schema.validation": "false"}, ids, nil},
		"what is no number":   {map[string]string{"max.message.bytes": "secret", "message.timestamp.after.max.ms": "-1"}, ids, nil},
		"what was not wanted": {map[string]string{"secret": "secret"}, ids, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				b := v.broker(t)
				b.ControlKey(kmsg.DescribeConfigs.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
					b.KeepControl()
					return rulesAnswer(r, c.rules), nil, true
				})
				found, _ := v.diagnose(t, b.ListenAddrs(), c.edit)
				want := [][]string{answers(9001), exists("1 partition"), writable(), oneCopy()}
				if c.want != nil {
					want = append(want, append([]string{c.want[0] + " topic user-events: "}, c.want[1:]...))
				}
				check(t, found, want...)
			})
		})
	}
}

func rulesAnswer(r kmsg.Request, rules map[string]string) kmsg.Response {
	answer, ok := r.ResponseKind().(*kmsg.DescribeConfigsResponse)
	if !ok {
		return nil
	}
	about := kmsg.NewDescribeConfigsResponseResource()
	about.ResourceType, about.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	add := func(name, value string) {
		rule := kmsg.NewDescribeConfigsResponseResourceConfig()
		rule.Name, rule.Value = name, &value
		about.Configs = append(about.Configs, rule)
	}
	add("min.insync.replicas", "1")
	for name, value := range rules {
		add(name, value)
	}
	answer.Resources = append(answer.Resources, about)
	return answer
}

// TestDiagnoseCodes has brokers answer with error codes.
func TestDiagnoseCodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key   kmsg.Key
		code  int16
		nodes []int32
		want  [][]string
	}{
		"no right to idempotent writes": {kmsg.InitProducerID, 31, []int32{0, 1, 2}, [][]string{{"FAIL topic user-events: ", "IDEMPOTENT_WRITE"}}},
		"no right at one leader": {
			kmsg.InitProducerID, 31,
			[]int32{1},
			[][]string{{"FAIL topic user-events: ", "IDEMPOTENT_WRITE", "(broker 1 says so)"}},
		},
		"a coordinator that never loads": {
			kmsg.InitProducerID, 14,
			[]int32{2},
			[][]string{{"FAIL broker 2 at localhost:9003: leads partition 2, and cannot be used: the cluster is not ready"}},
		},
		"no right to read the configuration": {
			kmsg.DescribeConfigs, 29,
			[]int32{0, 1, 2},
			[][]string{writable(), {"WARN topic user-events: ", "DESCRIBE_CONFIGS", "max.message.bytes is 1000000"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				b := v.three(t, 3)
				b.ControlKey(c.key.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
					b.KeepControl()
					for _, n := range c.nodes {
						if b.CurrentNode() == n {
							return refusal(r, c.code), nil, true
						}
					}
					return nil, nil, false
				})
				found, _ := v.diagnose(t, b.ListenAddrs()[:1])
				want := append([][]string{answers(9001), exists("3 partitions")}, c.want...)
				if c.key != kmsg.DescribeConfigs {
					want = append(want, oneCopy())
				}
				check(t, found, want...)
			})
		})
	}
}

func refusal(r kmsg.Request, code int16) kmsg.Response {
	switch answer := r.ResponseKind().(type) {
	case *kmsg.InitProducerIDResponse:
		answer.ErrorCode = code
		return answer
	case *kmsg.DescribeConfigsResponse:
		about := kmsg.NewDescribeConfigsResponseResource()
		secret := "secret"
		about.ErrorCode, about.ErrorMessage = code, &secret
		answer.Resources = append(answer.Resources, about)
		return answer
	default:
		return nil
	}
}

// TestDiagnoseTwoClusters has brokers of two clusters in KAFKA_BROKERS.
func TestDiagnoseTwoClusters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		one, other := v.broker(t, kfake.ClusterID("one")), v.broker(t, kfake.ClusterID("other"), kfake.Ports(9004))
		found, _ := v.diagnose(t, append(one.ListenAddrs(), other.ListenAddrs()...))
		check(t, found, answers(9001), answers(9004), []string{"FAIL KAFKA_BROKERS: ", "2 different clusters"}, exists("1 partition"), writable(), oneCopy())
	})
}

// TestDiagnoseBlame makes a connection to a broker of KAFKA_BROKERS fail at each step.
func TestDiagnoseBlame(t *testing.T) {
	t.Parallel()
	dials := func(err error) func(*kafka.Config) {
		return func(c *kafka.Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		}
	}
	slow := func(ctx context.Context) (string, time.Time, error) {
		<-ctx.Done()
		return "", time.Time{}, &net.DNSError{Err: ctx.Err().Error(), Name: "login.example.com", IsTimeout: true}
	}
	no := func(context.Context) (string, time.Time, error) {
		return "", time.Time{}, &net.DNSError{Err: "no such host", Name: "login.example.com", IsNotFound: true}
	}
	closesAt := func(key kmsg.Key) func(*kfake.Cluster) {
		return func(c *kfake.Cluster) {
			c.ControlKey(key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				return nil, io.EOF, true
			})
		}
	}
	takesAny := func(c *kfake.Cluster) {
		c.ControlKey(kmsg.SASLHandshake.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			return r.ResponseKind(), nil, true
		})
	}
	for name, c := range map[string]struct {
		opts  []kfake.Opt
		spoil func(*kfake.Cluster)
		edit  func(*kafka.Config)
		want  []string
		not   string
	}{
		"no such name":         {edit: dials(&net.DNSError{Err: "no such host", IsNotFound: true}), want: []string{"name cannot be resolved", "DNS does not have it", "KAFKA_BROKERS"}, not: "advertised"},
		"a mute name server":   {edit: dials(&net.DNSError{Err: "timeout", IsTimeout: true}), want: []string{"name cannot be resolved", "the name server does not answer"}, not: "firewall"},
		"no way":               {edit: dials(syscall.EHOSTUNREACH), want: []string{"there is no route to", "KAFKA_BROKERS"}},
		"dropped":              {edit: dials(context.DeadlineExceeded), want: []string{"firewall", "KAFKA_BROKERS"}},
		"refused":              {edit: dials(syscall.ECONNREFUSED), want: []string{"refuses connections", "KAFKA_BROKERS has another"}},
		"a slow token":         {[]kfake.Opt{kfake.EnableSASL()}, takesAny, func(c *kafka.Config) { c.SASL = kafka.OAuthBearer(identity.NewTokens(slow), nil) }, []string{"no token for the login came in time", "KAFKA_OAUTH_SCOPE"}, "firewall"},
		"no token":             {[]kfake.Opt{kfake.EnableSASL()}, takesAny, func(c *kafka.Config) { c.SASL = kafka.OAuthBearer(identity.NewTokens(no), nil) }, []string{"no token for the login was issued"}, "KAFKA_BROKERS"},
		"closes at first":      {nil, closesAt(kmsg.ApiVersions), nil, []string{"closes connections at the first request", "KAFKA_SECURITY_PROTOCOL"}, "MECHANISM"},
		"closes at the login":  {[]kfake.Opt{kfake.EnableSASL()}, closesAt(kmsg.SASLAuthenticate), login("u", "secret"), []string{"closes connections in the login", "KAFKA_SASL_PASSWORD"}, "TLS"},
		"closes without login": {nil, closesAt(kmsg.Metadata), nil, []string{"closes connections", "wants a login", "KAFKA_SASL_MECHANISM"}, "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				b := v.broker(t, c.opts...)
				if c.spoil != nil {
					c.spoil(b)
				}
				edit := c.edit
				if edit == nil {
					edit = func(*kafka.Config) {}
				}
				found, took := v.diagnose(t, b.ListenAddrs(), edit)
				check(t, found, append([]string{"FAIL broker localhost:9001: "}, c.want...))
				if c.not != "" && strings.Contains(report(found), c.not) {
					t.Errorf("%q is to blame for nothing: %s", c.not, report(found))
				}
				if took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestDiagnoseCertificates distinguishes a certificate without names from one of another host.
func TestDiagnoseCertificates(t *testing.T) {
	t.Parallel()
	ca, err := realkafka.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		hosts []string
		want  []string
	}{
		"no names":     {[]string{}, []string{"no subject alternative name"}},
		"another host": {[]string{"kafka.example.com"}, []string{"for another host name", "KAFKA_BROKERS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert, err := ca.Issue(realkafka.CertSpec{CommonName: "127.0.0.1", Hosts: c.hosts})
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.X509KeyPair(cert.CertPEM, cert.KeyPEM)
			if err != nil {
				t.Fatal(err)
			}
			b := startBroker(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
			found := diagnose.Run(t.Context(), kafka.Config{Brokers: b.ListenAddrs(), Topic: topic, TLS: ca.Client()})
			check(t, found, append([]string{"FAIL broker 127.0.0.1:"}, c.want...))
		})
	}
}
