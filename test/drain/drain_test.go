// Package drain_test tests both ways of draining the outbox with the stand-ins for the Storage queue and the Functions
// host: that nothing is lost or copied, and the rate.
package drain_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/local/funchost"
	"userrelay/local/storagequeue"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/quiet"
	"userrelay/test/wait"
)

// The host starts this program again as its handler, with these variables.
const (
	childPort  = "FUNCTIONS_CUSTOMHANDLER_PORT" // which the host sets
	childTopic = "DRAIN_TEST_TOPIC"             // the file for its records
)

// queueFlag is the flag with the connection string of a Storage queue to drain in the place of the stand-in, such as one of
// Azurite's.
const queueFlag = "queue"

func TestMain(m *testing.M) {
	flag.String(queueFlag, "", "connection string of a Storage queue to drain, in the place of the stand-in")
	if name := os.Getenv(childTopic); name != "" { //nolint:forbidigo // this is main
		fmt.Fprintln(os.Stderr, serveAlone(os.Getenv(childPort), name)) //nolint:forbidigo // this is main
		return
	}
	goleak.VerifyTestMain(m)
}

// serveAlone is a handler that drains with the trigger only.
func serveAlone(port, name string) error {
	k, err := open(name)
	if err != nil {
		return err
	}
	r := relay.New(relay.Config{Producer: k, Observer: quiet.Observer{}, KafkaTimeout: 2 * time.Second})
	h := functions.New(functions.Config{Deliver: r, Drain: r, Observer: quiet.Observer{}})
	s := http.Server{Addr: net.JoinHostPort("127.0.0.1", port), Handler: h, ReadHeaderTimeout: time.Minute}
	return s.ListenAndServe()
}

// topic is a Kafka: a file to which all processes append a line for each record.
type topic struct{ *os.File }

func open(name string) (topic, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600) //nolint:gosec // G703: the test or its parent names it
	return topic{f}, err
}

func (k topic) Produce(_ context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	_, err := fmt.Fprintln(k, string(r.Key))
	return delivery.RecordMetadata{Topic: "user-events"}, err
}

func (topic) Check(context.Context) error { return nil }

// users has the user of each record.
func (k topic) users(t *testing.T) []string {
	t.Helper()
	return strings.Fields(string(must.Get[[]byte](t)(os.ReadFile(k.Name()))))
}

// filled returns a queue with the messages of n users, and its connection string.
func filled(t *testing.T, n int) (*outbox.Queue, string) {
	t.Helper()
	connection := flag.Lookup(queueFlag).Value.String()
	if connection == "" {
		connection = queuetest.Start(t, storagequeue.Config{}).ConnectionString()
	}
	account := must.Get[outbox.Account](t)(outbox.ParseConnectionString(connection))
	q := must.Get[*outbox.Queue](t)(outbox.New(outbox.Config{Account: account}))
	t.Cleanup(q.Close)
	ctx := wait.Context(t)
	if err := q.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		must.Get[delivery.Kept](t)(q.Put(ctx, registration.Envelope{
			Event:  registration.Event{ID: fmt.Sprint("e-", i), UserID: fmt.Sprint("auth0|", i), Source: "urn:auth0:acme", Time: time.Unix(1, 0)},
			Queued: time.Now(), Reason: "unavailable",
		}, 0))
	}
	return q, connection
}

// own starts the handler's own drain, once for each process.
func own(t *testing.T, k relay.Producer, q relay.Outbox) (stop func()) {
	t.Helper()
	r := relay.New(relay.Config{Producer: k, Outbox: q, Observer: quiet.Observer{}, KafkaTimeout: 2 * time.Second, OutboxTimeout: 1500 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var drain sync.WaitGroup
	drain.Go(func() { r.DrainWhile(ctx) })
	return func() {
		cancel()
		drain.Wait()
		r.Close(context.Background())
	}
}

// trigger starts a host whose handler drains with the trigger only.
func trigger(t *testing.T, k topic, connection string) (stop func()) {
	t.Helper()
	dir, root := t.TempDir(), filepath.Join("..", "..")
	if err := os.CopyFS(filepath.Join(dir, "DrainOutbox"), os.DirFS(filepath.Join(root, "DrainOutbox"))); err != nil {
		t.Fatal(err)
	}
	host := must.Get[[]byte](t)(os.ReadFile(filepath.Join(root, "host.json")))
	program := filepath.ToSlash(must.Get[string](t)(os.Executable()))
	host = bytes.Replace(host, []byte("bin/handler"), []byte(program), 1)
	if err := os.WriteFile(filepath.Join(dir, "host.json"), host, 0o600); err != nil {
		t.Fatal(err)
	}
	h := must.Get[*funchost.Host](t)(funchost.Start(t.Context(), funchost.Config{
		Dir: dir, Env: append(os.Environ(), "AzureWebJobsStorage="+connection, childTopic+"="+k.Name()), NoAuth: true, //nolint:forbidigo // the child is the test
	}))
	return func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Each way alone, both concurrently, and with two processes: every message is drained exactly once. The rates are in
// the log.
func TestDrains(t *testing.T) {
	for _, c := range []struct {
		name            string
		n, own, trigger int
	}{{"own", 2000, 1, 0}, {"trigger", 500, 0, 1}, {"both", 1000, 1, 1}, {"both, twice", 1000, 2, 2}} {
		t.Run(c.name, func(t *testing.T) {
			q, connection := filled(t, c.n)
			k := must.Get[topic](t)(open(filepath.Join(t.TempDir(), "topic")))
			defer func() { _ = k.Close() }()
			var stops []func()
			for range c.trigger {
				stops = append(stops, trigger(t, k, connection))
			}
			for range c.own {
				stops = append(stops, own(t, k, q))
			}
			wait.For(t, "the first is drained", func() bool { return len(k.users(t)) > 0 })
			first := time.Now()
			wait.For(t, "all are drained", func() bool { return len(k.users(t)) >= c.n })
			took := time.Since(first)
			wait.For(t, "the queue is empty", func() bool {
				left, err := q.Count(t.Context())
				return err == nil && left == 0
			})
			empty := time.Since(first)
			for _, stop := range stops {
				stop()
			}
			t.Logf("%d messages in Kafka in %v (%.0f/s) after the first, the queue empty after %v", c.n, took, float64(c.n)/took.Seconds(), empty)
			users := k.users(t)
			slices.Sort(users)
			if all, different := len(users), len(slices.Compact(users)); all != c.n || different != c.n {
				t.Errorf("%d records of %d users, want %d of each", all, different, c.n)
			}
		})
	}
}
