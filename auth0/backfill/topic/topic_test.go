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
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "user-events"

func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.SeedTopics(3, name)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func day(hour int) time.Time { return time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC) }

// write writes the records of users.
func write(t *testing.T, c *kfake.Cluster, at time.Time, users ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(name))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, u := range users {
		record := &kgo.Record{
			Timestamp: at, Key: []byte(u), Value: []byte("{}"),
			Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("x")}, {Key: "ce_source", Value: []byte("urn:auth0:acme")}},
		}
		switch {
		case strings.HasPrefix(u, "deleted"):
			record.Value = nil
		case strings.HasPrefix(u, "foreign"):
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
	r, err := topic.Open(topic.Config{Brokers: c.ListenAddrs(), Topic: name}, since)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func caughtUp(t *testing.T, r *topic.Reader) (found []string) {
	t.Helper()
	err := r.CatchUp(wait.Context(t), func(source, key string) {
		if source != "urn:auth0:acme" {
			t.Errorf("got source %s", source)
		}
		found = append(found, key)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

// TestCatchUp returns every record once: first the existing ones, then the new ones. It ignores records without a
// source, and deleted users.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	r := reader(t, c, time.Time{})
	if got := caughtUp(t, r); len(got) > 0 {
		t.Errorf("an empty topic: got %q", got)
	}
	write(t, c, day(1), append(users(0, 200), "deleted", "foreign")...)
	if diff := cmp.Diff(users(0, 200), caughtUp(t, r)); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if got := caughtUp(t, r); len(got) > 0 {
		t.Errorf("nothing came since: got %q", got)
	}
	write(t, c, day(1), users(200, 203)...)
	if diff := cmp.Diff(users(200, 203), caughtUp(t, r)); diff != "" {
		t.Errorf("users that came since (-want +got):\n%s", diff)
	}
}

// TestSince begins at a time, also if some partitions have no later records.
func TestSince(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	write(t, c, day(1), users(0, 50)...)
	write(t, c, day(2), users(50, 52)...)
	if diff := cmp.Diff(users(50, 52), caughtUp(t, reader(t, c, day(2)))); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if got := caughtUp(t, reader(t, c, day(3))); len(got) > 0 {
		t.Errorf("got %q of a later time", got)
	}
}

// TestFails returns an error for a topic that cannot be read, within the time limit.
func TestFails(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	for says, config := range map[string]topic.Config{
		"UNKNOWN_TOPIC_OR_PARTITION": {Brokers: c.ListenAddrs(), Topic: "another"},
		"context deadline exceeded":  {Brokers: []string{"127.0.0.1:1"}, Topic: name},
	} {
		r, err := topic.Open(config, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		err = r.CatchUp(ctx, func(string, string) {})
		if err == nil || says != "context deadline exceeded" && !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %s", err, says)
		}
		cancel()
		r.Close()
	}
}

// TestLogin reads a topic that needs a login.
func TestLogin(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "reader", "s3cret"))
	for password, ok := range map[string]bool{"s3cret": true, "wrong": false} {
		r, err := topic.Open(topic.Config{
			Brokers: c.ListenAddrs(), Topic: name, Login: []kgo.Opt{kgo.SASL(plain.Auth{User: "reader", Pass: password}.AsMechanism())},
		}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		err = r.CatchUp(wait.Context(t), func(string, string) {})
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("password %s: got %v", password, err)
		}
		r.Close()
	}
}
