package app_test

import (
	"context"
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
	"userrelay/test/must"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestNetworkInMemory has all connections of a handler in the configured network: registrations go into the queue, and
// to Kafka once it is there.
func TestNetworkInMemory(t *testing.T) {
	t.Parallel()
	var network kfake.VirtualNetwork
	transport := &http.Transport{DialContext: network.DialContext}
	const queueAddr = "127.0.0.1:10001"
	listen := func(addr string) net.Listener { return must.Get[net.Listener](t)(network.Listen("tcp", addr)) }
	queue := must.Get[*storagequeue.Server](t)(storagequeue.Start(storagequeue.Config{Addr: queueAddr, Listener: listen(queueAddr)}))
	account := must.Get[outbox.Account](t)(outbox.ParseConnectionString(queue.ConnectionString()))
	a := must.Get[*app.App](t)(app.New(app.Config{
		Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9092"}, Topic: "users", Dial: network.DialContext}, KafkaTimeout: time.Second,
		Outbox: &outbox.Config{Account: account, Client: &http.Client{Transport: transport}}, OutboxTimeout: 20 * time.Second,
		Console: slog.New(slog.DiscardHandler),
	}))
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	l := listen("127.0.0.1:8080")
	go func() { served <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		a.Close()
		transport.CloseIdleConnections()
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
	register := func() int {
		url := "http://" + l.Addr().String() + "/api/RegisterUser"
		body := strings.NewReader(`{"userId":"auth0|1"}`)
		req := must.Get[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, url, body))
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := register(); got != http.StatusAccepted {
		t.Errorf("without Kafka: got %d, want 202", got)
	}
	cluster := must.Get[*kfake.Cluster](t)(kfake.NewCluster(
		kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(network.Listen), kfake.SeedTopics(1, "users"),
	))
	t.Cleanup(cluster.Close)
	wait.For(t, "Kafka takes registrations", func() bool { return register() == http.StatusOK })
}
