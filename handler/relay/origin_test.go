package relay_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// Two apps share a storage account. While one's Kafka is away, neither drain of the other takes its messages to
// another Kafka.
func TestMessagesOfAnotherApp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours := &kafka{answers: func(registration.Record) (time.Duration, error) { return 0, fails(delivery.Unavailable) }}
		theirs, q := instantly(time.Millisecond), &memory{}
		app := sharing(t, ours, q, registration.Origin{App: "app", Topic: "users", Brokers: []string{"kafka:9092"}})
		other := sharing(t, theirs, q, registration.Origin{Topic: "users", Brokers: []string{"localhost:9092"}})

		if out, err := app.Deliver(t.Context(), event()); err != nil || out.Kind != relay.InOutbox {
			t.Fatal(out, err)
		}
		q.mu.Lock()
		message := q.messages[0].body
		q.mu.Unlock()
		if err := other.Drain(t.Context(), message); delivery.ClassOf(err) != delivery.Fatal {
			t.Errorf("the other's trigger: %v", err)
		}
		<-time.After(time.Hour)
		if len(theirs.users()) != 0 || q.len() != 1 || len(q.reasons()) != 0 {
			t.Errorf("%d records at the other Kafka, %d messages left, poisoned %q", len(theirs.users()), q.len(), q.reasons())
		}
		if n := theirs.count("NotDrained for fatal"); n < 20 || n > 65 {
			t.Errorf("the other was told %d times in an hour", n)
		}
		ours.now(func(registration.Record) (time.Duration, error) { return 0, nil })
		<-time.After(3 * time.Minute)
		if len(ours.users()) != 1 || len(theirs.users()) != 0 || q.len() != 0 {
			t.Errorf("%d records at its own Kafka, %d at the other one, %d messages left", len(ours.users()), len(theirs.users()), q.len())
		}
	})
}

// sharing returns a relay of an app that drains a queue.
func sharing(t *testing.T, k *kafka, q *memory, o registration.Origin) *relay.Relay {
	t.Helper()
	r := relay.New(relay.Config{
		Producer: k.wire(), Outbox: q, Observer: &k.journal, KafkaTimeout: 2 * time.Second, OutboxTimeout: 1500 * time.Millisecond,
		Profile: true, Origin: o,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var drain sync.WaitGroup
	drain.Go(func() { r.DrainWhile(ctx) })
	t.Cleanup(func() {
		cancel()
		drain.Wait()
		r.Close(context.Background())
	})
	return r
}
