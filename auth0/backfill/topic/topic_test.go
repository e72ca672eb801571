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

const (
	name   = "user-events"
	source = "urn:auth0:acme"
)

// cluster starts brokers, and returns their addresses.
func cluster(t *testing.T, opts ...kfake.Opt) []string {
	t.Helper()
	c := must.Get[*kfake.Cluster](t)(kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.SeedTopics(3, name)}, opts...)...))
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

func day(hour int) time.Time { return time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC) }

// record is the record of a user.
func record(at time.Time, user string) *kgo.Record {
	return &kgo.Record{Timestamp: at, Key: []byte(user), Value: []byte("{}"), Headers: []kgo.RecordHeader{
		{Key: "ce_id", Value: []byte("x")}, {Key: "ce_source", Value: []byte(source)},
	}}
}

// catchesUp reads what was written since the previous call, and checks its users.
func catchesUp(t *testing.T, r *topic.Reader, want ...string) {
	t.Helper()
	var found []string
	err := r.CatchUp(wait.Context(t), func(from, key string) {
		if from != source {
			t.Errorf("got source %s", from)
		}
		found = append(found, key)
	})
	slices.Sort(found)
	if diff := cmp.Diff(want, found); diff != "" || err != nil {
		t.Errorf("%v, users (-want +got):\n%s", err, diff)
	}
}

// TestCatchUp returns every record once: first the existing ones, from a time on, then the new ones. It ignores records
// without a source, and deleted users. Some partitions have no later records.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	brokers := cluster(t)
	reader := func(since time.Time) *topic.Reader {
		r := must.Get[*topic.Reader](t)(topic.Open(topic.Config{Brokers: brokers, Topic: name}, since))
		t.Cleanup(r.Close)
		return r
	}
	client := must.Get[*kgo.Client](t)(kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(name)))
	defer client.Close()
	write := func(records ...*kgo.Record) {
		if err := client.ProduceSync(wait.Context(t), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	deleted, foreign := record(day(1), "deleted"), record(day(1), "foreign")
	deleted.Value, foreign.Headers = nil, nil
	records, users := []*kgo.Record{deleted, foreign}, []string{}
	for i := range 200 {
		users = append(users, fmt.Sprintf("auth0|%03d", i))
		records = append(records, record(day(1), users[i]))
	}

	r := reader(time.Time{})
	catchesUp(t, r)
	write(records...)
	catchesUp(t, r, users...)
	catchesUp(t, r)
	write(record(day(2), "auth0|200"), record(day(2), "auth0|201"))
	catchesUp(t, r, "auth0|200", "auth0|201")
	catchesUp(t, reader(day(2)), "auth0|200", "auth0|201")
	catchesUp(t, reader(day(3)))
}

// TestFails returns an error for a topic that cannot be read, and none for one that needs the right login.
func TestFails(t *testing.T) {
	t.Parallel()
	closed := cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "reader", "s3cret"))
	login := []kgo.Opt{kgo.SASL(plain.Auth{User: "reader", Pass: "s3cret"}.AsMechanism())}
	for _, c := range []struct {
		limit  time.Duration
		config topic.Config
		says   string
	}{
		{wait.Patience, topic.Config{Brokers: cluster(t), Topic: "another"}, "UNKNOWN_TOPIC_OR_PARTITION"},
		{100 * time.Millisecond, topic.Config{Brokers: []string{"127.0.0.1:1"}, Topic: name}, "ask for the topic's partitions: "},
		{wait.Patience, topic.Config{Brokers: closed, Topic: name, Login: login}, "<nil>"},
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
