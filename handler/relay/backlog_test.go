package relay_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// Messages in the outbox at the start are drained at once, each once, in limited memory.
func TestOwnDrain(t *testing.T) {
	bubble(t, func(x *rig) {
		const n = 500
		most := atomic.Int64{}
		x.k.answers, x.q.takes = always(5*ms, nil), 5*ms
		x.q.fault = func(op string, work func() error) error {
			err := work()
			if all, visible := x.q.size(); op == "Receive" {
				most.Store(max(most.Load(), int64(all-visible)))
			}
			return err
		}
		x.q.fill(n)
		x.draining()
		<-time.After(3 * s)
		x.equal("users, records, left, drained, emptied", []int{n, n, 0, n, 1},
			[]int{len(x.k.perUser(&x.k.topic)), x.k.n(), x.q.len(), x.k.count("Drained"), x.k.count("Emptied")})
		if n := most.Load(); n > 96 || n < 64 {
			x.Errorf("%d in hand at a time", n)
		}
	})
}

// An idle drain checks the queue once a minute. A registration that goes into the outbox is drained within seconds if
// Kafka accepts it.
func TestOwnDrainIsIdle(t *testing.T) {
	bubble(t, func(x *rig) {
		looks := atomic.Int64{} // each asks Kafka first
		x.k.answers = script(answer{0, fails(delivery.Throttled)}, answer{0, nil})
		x.k.checks = func(context.Context) error { looks.Add(1); return nil }
		r, _ := x.draining()
		<-time.After(time.Hour + 30*s) // half a minute before the next look
		if n := looks.Load(); n < 59 || n > 61 || x.k.count("Emptied") != 0 {
			x.Errorf("%d looks in an hour, told %s", n, x.k.calls())
		}
		x.deliver(r, event(), relay.InOutbox)
		<-time.After(2 * s)
		for i := range 2 {
			x.equal("messages left, drained, emptied", []int{0, i + 1, i + 1}, []int{x.q.len(), x.k.count("Drained"), x.k.count("Emptied")})
			x.q.fill(1) // by another instance
			<-time.After(61 * s)
		}
	})
}

// A message that Kafka does not accept is tried again after a minute, and never twice in a minute, however many there
// are. A check of the outbox ends after 32 failures.
func TestOwnDrainOfRefused(t *testing.T) {
	cases := map[string]delivery.Class{}
	for _, class := range []delivery.Class{
		delivery.NotAuthorized, delivery.UnknownTopic, delivery.Throttled, delivery.TopicRule, delivery.Fatal, delivery.Unavailable,
		delivery.TooLarge,
	} {
		cases[string(class)] = class
	}
	each(t, cases, func(x *rig, class delivery.Class) {
		x.k.answers = always(ms, fails(class))
		x.q.fill(200)
		x.draining()
		<-time.After(s)
		// Before the last messages are received, 31 have failed and 96 are in progress.
		if n := len(x.k.perUser(&x.k.tries)); n < 32 || n > 31+96+32 {
			x.Errorf("%d were tried in the first check", n)
		}
		<-time.After(9 * time.Minute)
		x.equal("messages left, poisoned", []int{200, 0}, []int{x.q.len(), len(x.q.reasons())})
		for user, n := range x.k.perUser(&x.k.tries) {
			if n > 10 || n < 5 {
				x.Errorf("%s was tried %d times in 9 minutes", user, n)
			}
		}
		x.k.now(always(ms, nil))
		<-time.After(4 * time.Minute)
		x.equal("messages left, drained", []int{0, 200}, []int{x.q.len(), x.k.count("Drained")})
	})
}

// A message that fails for a week goes to the poison queue. A message that can never be drained goes there at once.
func TestOwnDrainGivesUp(t *testing.T) {
	type row struct {
		tries  int64
		answer error
		body   []byte
		reason string
	}
	const unread = "It cannot be read: body: must be a CloudEvent in JSON, as this program writes it into its outbox"
	const attempts = "Kafka did not accept it in 10,000 attempts."
	refused, later := fails(delivery.NotAuthorized), []byte(`{"userrelayversion":2}`)
	each(t, map[string]row{
		"after its last try":          {9_999, refused, nil, attempts},
		"not before":                  {9_998, refused, nil, ""},
		"invalid":                     {0, fails(delivery.Invalid), nil, "Kafka rejects the record as invalid."},
		"no message":                  {0, nil, []byte("hello"), unread},
		"of a later version":          {0, nil, later, ""},
		"of a later version, at last": {9_999, nil, later, attempts},
	}, func(x *rig, c row) {
		x.k.answers = always(0, c.answer)
		if c.body == nil {
			c.body = queued().Encode()
		}
		x.q.add(c.body, 0)
		x.q.messages[0].tries = c.tries
		x.draining()
		<-time.After(5 * s)
		x.equal("reason", c.reason, strings.Join(x.q.reasons(), "\n"))
		if (x.q.len() == 0) != (c.reason != "") {
			x.Errorf("%d left", x.q.len())
		}
	})
}

// The messages of one dead partition do not delay the others, however many there are.
func TestOwnDrainWithADeadPartition(t *testing.T) {
	each(t, map[string]answer{"no leader": {0, fails(delivery.Unavailable)}, "silent": {time.Hour, nil}}, func(x *rig, c answer) {
		x.k.answers = func(r registration.Record) answer {
			if strings.HasSuffix(string(r.Key), "7") {
				return c
			}
			return answer{5 * ms, nil}
		}
		x.q.fill(1000)
		x.draining()
		<-time.After(2 * time.Minute)
		x.equal("drained", 900, x.k.count("Drained"))
	})
}

// An unreachable queue is reported once, and its recovery once; nothing is lost, and registrations go to Kafka.
func TestOwnDrainWithoutAQueue(t *testing.T) {
	bubble(t, func(x *rig) {
		x.q.fault = away(time.Now().Add(10 * time.Minute))
		x.q.fill(10)
		r, _ := x.draining()
		x.callers(r, 60, 10*s, anybody, func(user string, _ time.Time, out relay.Outcome) {
			if out.Kind != relay.InKafka {
				x.Errorf("%s: %+v", user, out)
			}
		})
		<-time.After(2 * time.Minute)
		x.equal("times told, and messages left", []int{1, 1, 0}, []int{x.k.count("Unread"), x.k.count("Read"), x.q.len()})
	})
}

// At shutdown messages become visible again at once, except those that Kafka may still store.
func TestOwnDrainEnds(t *testing.T) {
	type row struct {
		kafka         answer
		visible, left int
		within        time.Duration
	}
	each(t, map[string]row{
		"Kafka does not accept them": {answer{0, errUnsent}, 40, 40, 100 * ms},
		"Kafka is about to answer":   {answer{3 * s, nil}, 0, 0, 3 * s},
		"Kafka is silent":            {answer{time.Hour, nil}, 0, 40, 4 * s},
	}, func(x *rig, c row) {
		x.k.answers = script(c.kafka)
		x.q.fill(40)
		r, stop := x.draining()
		<-time.After(s)
		if _, visible := x.q.size(); visible != 0 {
			x.Fatalf("%d are not in hand", visible)
		}
		start := time.Now()
		stop()
		if took := time.Since(start); took > c.within {
			x.Errorf("the end took %v", took)
		}
		r.Close(ended(x.Context()))
		if all, visible := x.q.size(); visible != c.visible || all != c.left {
			x.Errorf("%d of %d can be seen, want %d of %d", visible, all, c.visible, c.left)
		}
	})
}

// If messages of the outbox cannot be deleted, this process makes no copies of those whose records Kafka has: it has
// drained them, or Kafka's answer to the registration was late.
func TestDrainedIsNotDrainedAgain(t *testing.T) {
	type row struct{ waiting, late, drained, withdrawn int }
	each(t, map[string]row{"drained": {50, 0, 50, 0}, "late": {0, 1, 0, 1}}, func(x *rig, c row) {
		x.q.fault = away(time.Now().Add(10*time.Minute), "Delete")
		x.q.fill(c.waiting)
		r, _ := x.draining()
		for range c.late {
			x.k.now(always(3*s, nil))
			x.deliver(r, event(), relay.InOutbox)
		}
		<-time.After(20 * time.Minute)
		x.equal("messages left, records, drained, withdrawn", []int{0, c.waiting + c.late, c.drained, c.withdrawn},
			[]int{x.q.len(), x.k.n(), x.k.count("Drained"), x.k.count("Withdrawn")})
	})
}

// Two apps share a storage account. While one's Kafka is away, neither drain of the other takes its messages to
// another Kafka.
func TestMessagesOfAnotherApp(t *testing.T) {
	bubble(t, func(x *rig) {
		sharing := func(k *kafka, o registration.Origin) *relay.Relay {
			r := x.start(relay.Config{Producer: k, Outbox: x.q, Observer: k, Origin: o})
			x.background(1, r.DrainWhile)
			return r
		}
		ours, theirs := &kafka{answers: always(0, fails(delivery.Unavailable))}, x.k
		app := sharing(ours, registration.Origin{App: "app", Topic: "users", Brokers: []string{"kafka:9092"}})
		other := sharing(theirs, registration.Origin{Topic: "users", Brokers: []string{"localhost:9092"}})

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
		x.equal("records at its own Kafka, users at the other, messages left", []int{1, 0, 0},
			[]int{ours.n(), len(theirs.perUser(&theirs.tries)), x.q.len()})
	})
}
