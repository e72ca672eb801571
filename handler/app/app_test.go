package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"userrelay/handler/app"
	"userrelay/handler/kafka"
	"userrelay/handler/outbox"
	"userrelay/local/storagequeue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves until the test ends, and returns the handler's address.
func start(t *testing.T, c app.Config) string {
	t.Helper()
	c.Console = slog.New(slog.DiscardHandler)
	c.Kafka.Topic = "users"
	a, err := app.New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		a.Close()
	})
	return "http://" + l.Addr().String()
}

func register(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/RegisterUser", strings.NewReader(`{"userId":"auth0|1"}`))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// A handler reaches its brokers through the configured network.
func TestNetworkInMemory(t *testing.T) {
	t.Parallel()
	var network kfake.VirtualNetwork
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(network.Listen), kfake.SeedTopics(1, "users"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	url := start(t, app.Config{
		Kafka: kafka.Config{Brokers: cluster.ListenAddrs(), Dial: network.DialContext}, KafkaTimeout: 20 * time.Second,
	})
	if status, body := register(t, url); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}

// Registrations that Kafka does not accept go into a queue, here behind a listener in memory.
func TestQueueInMemory(t *testing.T) {
	t.Parallel()
	var network kfake.VirtualNetwork
	l, err := network.Listen("tcp", "127.0.0.1:10001")
	if err != nil {
		t.Fatal(err)
	}
	queue, err := storagequeue.Start(storagequeue.Config{Addr: "127.0.0.1:10001", Listener: l})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: network.DialContext}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
	account, err := outbox.ParseConnectionString(queue.ConnectionString())
	if err != nil {
		t.Fatal(err)
	}
	url := start(t, app.Config{
		Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9092"}, Dial: network.DialContext}, KafkaTimeout: 100 * time.Millisecond,
		Outbox: &outbox.Config{Account: account, Client: &http.Client{Transport: transport}}, OutboxTimeout: 20 * time.Second,
	})
	if status, body := register(t, url); status != http.StatusAccepted {
		t.Errorf("%d %s", status, body)
	}
}
