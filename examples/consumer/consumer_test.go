package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/local/broker"
	"userrelay/test/must"
	"userrelay/test/recorder"
	"userrelay/test/wait"
)

const topic = "user-events"

// event is a record as the handler writes it.
func event(source, id, user string) *kgo.Record {
	header := func(k, v string) kgo.RecordHeader { return kgo.RecordHeader{Key: k, Value: []byte(v)} }
	return &kgo.Record{
		Key: []byte(user), Value: []byte(`{"userId":"` + user + `"}`), Partition: 1,
		Headers: []kgo.RecordHeader{header("ce_id", id), header("ce_source", source), header("ce_type", "user.created"), header("ce_time", "2026-11-26T12:00:00Z")},
	}
}

func produce(t *testing.T, address string, records ...*kgo.Record) {
	t.Helper()
	client := must.Get[*kgo.Client](t)(kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner())))
	defer client.Close()
	if err := client.ProduceSync(wait.Context(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// brokerWith starts a broker whose topic has the records, and returns its address.
func brokerWith(t *testing.T, records ...*kgo.Record) (address string) {
	t.Helper()
	b := must.Get[*broker.Broker](t)(broker.Start(t.Context(), topic, "", 0))
	t.Cleanup(func() { _ = b.Close() })
	produce(t, b.Address(), records...)
	return b.Address()
}

func TestCopiesAreDropped(t *testing.T) {
	t.Parallel()
	other := event("urn:auth0:a", "e9", "of another type")
	other.Headers[2].Value = []byte("user.deleted")
	address := brokerWith(t, event("urn:auth0:a", "e1", "auth0|1"), event("urn:auth0:a", "e1", "auth0|1"), event("urn:auth0:b", "e1", "auth0|1"),
		other, &kgo.Record{Partition: 1, Value: []byte("no event")})
	const want = `"auth0|1" registered at 2026-11-26T12:00:00Z (urn:auth0:a)
"auth0|1" registered at 2026-11-26T12:00:00Z (urn:auth0:b)
"auth0|2\n" registered at 2026-11-26T12:00:00Z (urn:auth0:a)
`
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out recorder.Recorder
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-brokers", address}, &out) }()
	wait.For(t, "the first two", func() bool { return strings.Count(out.String(), "\n") >= 2 })
	produce(t, address, event("urn:auth0:a", "e2", "auth0|2\n"))
	wait.For(t, "the third", func() bool { return strings.Count(out.String(), "\n") >= 3 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestWhatFailedComesAgain(t *testing.T) {
	t.Parallel()
	address := brokerWith(t, event("s", "e1", "auth0|1"), event("s", "e2", "auth0|2"))
	failed := errors.New("the database is away")
	var got []string
	for range 2 {
		client := must.Get[*kgo.Client](t)(kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(topic),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit()))
		err := consume(wait.Context(t), client, newSeen(10), func(r Registration) error {
			got = append(got, r.UserID)
			if r.ID == "e2" {
				return failed
			}
			return nil
		})
		client.Close()
		if !errors.Is(err, failed) {
			t.Fatalf("ended with %v", err)
		}
	}
	if d := cmp.Diff([]string{"auth0|1", "auth0|2", "auth0|1", "auth0|2"}, got); d != "" {
		t.Errorf("nothing was committed, so both come again (-want +got)\n%s", d)
	}
}

func TestSeenIsBounded(t *testing.T) {
	t.Parallel()
	s := newSeen(2)
	for _, id := range []string{"a", "b", "c"} {
		s.add(Registration{Source: "s", ID: id})
	}
	for of, want := range map[[2]string]bool{{"s", "a"}: false, {"s", "b"}: true, {"s", "c"}: true, {"other", "c"}: false} {
		if got := s.has(Registration{Source: of[0], ID: of[1]}); got != want {
			t.Errorf("%q: %v, want %v", of, got, want)
		}
	}
}
