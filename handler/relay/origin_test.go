package relay_test

import (
	"context"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// Two apps share a storage account. While one's Kafka is away, neither drain of the other takes its messages to
// another Kafka.
func TestMessagesOfAnotherApp(t *testing.T) {
	t.Parallel()
	bubble(t, func(x *rig) {
		ours, theirs := &kafka{answers: always(0, fails(delivery.Unavailable))}, x.k
		app := x.sharing(ours, registration.Origin{App: "app", Topic: "users", Brokers: []string{"kafka:9092"}})
		other := x.sharing(theirs, registration.Origin{Topic: "users", Brokers: []string{"localhost:9092"}})

		x.deliver(app, event(), relay.InOutbox)
		x.q.mu.Lock()
		message := x.q.messages[0].body
		x.q.mu.Unlock()
		if err := other.Drain(x.Context(), message); delivery.ClassOf(err) != delivery.Fatal {
			x.Errorf("the other's trigger: %v", err)
		}
		<-time.After(time.Hour)
		x.equal("messages left, poisoned", []int{1, 0}, []int{x.q.len(), len(x.q.reasons())})
		if n := theirs.count("NotDrained:fatal"); n < 20 || n > 65 {
			x.Errorf("the other was told %d times in an hour", n)
		}
		ours.now(always(0, nil))
		<-time.After(3 * time.Minute)
		x.equal("records at its own Kafka, at the other's, messages left", []int{1, 0, 0}, []int{len(ours.topic), len(theirs.tries), x.q.len()})
	})
}

// sharing returns a relay of an app that drains the queue.
func (x *rig) sharing(k *kafka, o registration.Origin) *relay.Relay {
	x.Helper()
	r := relay.New(relay.Config{
		Producer: k, Outbox: x.q, Observer: k, KafkaTimeout: 2 * s, OutboxTimeout: 1500 * ms, Profile: true, Origin: o,
	})
	x.Cleanup(func() { r.Close(context.Background()) })
	x.drain(r)
	return r
}
