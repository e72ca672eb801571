package topic_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"go.uber.org/goleak"

	"userrelay/auth0/backfill/topic"
	"userrelay/test/must"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "user-events"

func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c := must.Get[*kfake.Cluster](t)(kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.SeedTopics(3, name)}, opts...)...))
	t.Cleanup(c.Close)
	return c
}

func day(hour int) time.Time { return time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC) }

// write writes the records of users.
func write(t *testing.T, c *kfake.Cluster, at time.Time, users ...string) {
	t.Helper()
	client := must.Get[*kgo.Client](t)(kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(name)))
	defer client.Close()
	for _, u := range users {
		record := &kgo.Record{
			Timestamp: at, Key: []byte(u), Value: []byte("{}"),
			Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("x")}, {Key: "ce_source", Value: []byte("urn:auth0:acme")}},
		}
		switch u {
		case "deleted":
			record.Value = nil
		case "foreign":
			record.Headers = nil
		}
		if err := client.ProduceSync(wait.Context(t), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func users(from, to int) (users []string) {
	for i := from; i < to; i++ {
		users = append(users, fmt.Sprintf("auth0|%03d", i))
	}
	return users
}

func reader(t *testing.T, c *kfake.Cluster, since time.Time) *topic.Reader {
	t.Helper()
	r := must.Get[*topic.Reader](t)(topic.Open(topic.Config{Brokers: c.ListenAddrs(), Topic: name}, since))
	t.Cleanup(r.Close)
	return r
}

// catchesUp reads what was written since the previous call, and checks its users.
func catchesUp(t *testing.T, r *topic.Reader, want []string) {
	t.Helper()
	var found []string
	if err := r.CatchUp(wait.Context(t), func(source, key string) {
		if source != "urn:auth0:acme" {
			t.Errorf("got source %s", source)
		}
		found = append(found, key)
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

// TestCatchUp returns every record once: first the existing ones, from a time on, then the new ones. It ignores records
// without a source, and deleted users. Some partitions have no later records.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	r := reader(t, c, time.Time{})
	catchesUp(t, r, nil)
	write(t, c, day(1), append(users(0, 200), "deleted", "foreign")...)
	catchesUp(t, r, users(0, 200))
	catchesUp(t, r, nil)
	write(t, c, day(2), users(200, 202)...)
	catchesUp(t, r, users(200, 202))
	catchesUp(t, reader(t, c, day(2)), users(200, 202))
	catchesUp(t, reader(t, c, day(3)), nil)
}

// TestFails returns an error for a topic that cannot be read, and none for one that needs the right login.
func TestFails(t *testing.T) {
	t.Parallel()
	open, closed := cluster(t), cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "reader", "s3cret"))
	login := []kgo.Opt{kgo.SASL(plain.Auth{User: "reader", Pass: "s3cret"}.AsMechanism())}
	for _, c := range []struct {
		limit  time.Duration
		config topic.Config
		says   string
	}{
		{wait.Patience, topic.Config{Brokers: open.ListenAddrs(), Topic: "another"}, "UNKNOWN_TOPIC_OR_PARTITION"},
		{100 * time.Millisecond, topic.Config{Brokers: []string{"127.0.0.1:1"}, Topic: name}, "ask for the topic's partitions: "},
		{wait.Patience, topic.Config{Brokers: closed.ListenAddrs(), Topic: name, Login: login}, "<nil>"},
	} {
		r := must.Get[*topic.Reader](t)(topic.Open(c.config, time.Time{}))
		ctx, cancel := context.WithTimeout(t.Context(), c.limit)
		if err := r.CatchUp(ctx, func(string, string) {}); !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("got %v, want %q", err, c.says)
		}
		cancel()
		r.Close()
	}
}
