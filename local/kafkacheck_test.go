package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// elsewhere is a listener that advertises another name.
type elsewhere struct {
	net.Listener
	name string
}

func (e elsewhere) Addr() net.Addr { return name(e.name) }

type name string

func (name) Network() string  { return "tcp" }
func (n name) String() string { return string(n) }

// startKafka starts a broker and returns its address. advertised is the advertised address; "" means the same.
func startKafka(t *testing.T, advertised string, options ...kfake.Opt) string {
	t.Helper()
	addr := ""
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1), kfake.ListenFn(func(network, at string) (net.Listener, error) {
		l, err := new(net.ListenConfig).Listen(t.Context(), network, at)
		if err != nil || advertised == "" {
			return l, err
		}
		addr = l.Addr().String()
		return elsewhere{l, advertised}, nil
	}))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	if advertised == "" {
		addr = cluster.ListenAddrs()[0]
	}
	return addr
}

// TestKafkaTrouble checks the texts about an unusable Kafka, and that a topic is created on this machine.
func TestKafkaTrouble(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	topic := kfake.SeedTopics(1, "user-events")
	for _, tt := range []struct {
		name, brokers string
		want, said    string
	}{
		{"ours", "", "", ""},
		{"sound", startKafka(t, "", topic), "", ""},
		{"one of two is down", "127.0.0.1:1," + startKafka(t, "", topic), "", ""},
		{"no topic", startKafka(t, ""), "", "Made the topic user-events, with 4 partitions.\n"},
		{"down", "127.0.0.1:1", "Nothing listens at 127.0.0.1:1: start Kafka there", ""},
		{"no such name", "kafka.invalid:9092", "Kafka's name cannot be resolved (kafka.invalid:9092)", ""},
		{"no Kafka", strings.TrimPrefix(web.URL, "http://"), "does not answer as Kafka does", ""},
		{"a name that nobody knows", startKafka(t, "broker.invalid:9092", topic), "broker.invalid:9092, which this machine cannot resolve: set the broker's advertised.listeners", ""},
		{"a name where nobody listens", startKafka(t, "127.0.0.1:1", topic), "127.0.0.1:1, which cannot be reached: set the broker's advertised.listeners", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			s := &stack{options: options{kafka: tt.brokers, topic: "user-events"}, out: &out}
			for range 2 { // the second time the topic exists
				got := s.kafkaTrouble(t.Context())
				if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
					t.Errorf("got %q, want a sentence with %q", got, tt.want)
				}
			}
			if out.String() != tt.said {
				t.Errorf("said %q, want %q", out.String(), tt.said)
			}
		})
	}
}

func TestOnLoopback(t *testing.T) {
	t.Parallel()
	for brokers, want := range map[string]bool{
		"127.0.0.1:9092": true, "localhost:9092": true, "[::1]:9092": true, "127.0.0.1:1,LOCALHOST:2": true,
		"kafka:9092": false, "127.0.0.1:1,kafka:2": false, "192.0.2.1:9092": false,
	} {
		if got := onLoopback(brokers); got != want {
			t.Errorf("%s: %v", brokers, got)
		}
	}
}
