package relay_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// Messages in the outbox at the start are drained at once, each once, in limited memory.
func TestOwnDrain(t *testing.T) {
	single(t, func(x *rig) {
		const n = 500
		x.k.answers, x.q.takes = always(5*ms, nil), 5*ms
		x.q.fill(n)
		x.draining()
		<-time.After(3 * s)
		if users := x.k.perUser(&x.k.topic); len(users) != n || x.k.n() != n || x.q.len() != 0 {
			x.Errorf("%d records of %d users, %d left", x.k.n(), len(users), x.q.len())
		}
		if _, most := x.q.received(); most > 96 || most < 64 {
			x.Errorf("%d in hand at a time", most)
		}
		if x.k.count("Emptied") != 1 || x.k.count("Drained") != n {
			x.Errorf("told %d times that it is empty, %d that a message is drained", x.k.count("Emptied"), x.k.count("Drained"))
		}
	})
}

// An idle drain checks the queue once a minute. A registration that goes into the outbox is drained within seconds if
// Kafka accepts it.
func TestOwnDrainIsIdle(t *testing.T) {
	single(t, func(x *rig) {
		x.k.answers = script(answer{0, fails(delivery.Throttled)}, answer{0, nil})
		r, _ := x.draining()
		<-time.After(time.Hour)
		if looks, _ := x.q.received(); looks < 58 || looks > 61 || x.k.count("Emptied") != 0 {
			x.Errorf("%d looks in an hour, told %s", looks, x.k.calls())
		}
		x.deliver(r, event(), relay.InOutbox)
		<-time.After(2 * s)
		for i := range 2 {
			if x.q.len() != 0 || x.k.count("Emptied") != i+1 || x.k.count("Drained") != i+1 {
				x.Errorf("%d messages left, told %s", x.q.len(), x.k.calls())
			}
			x.q.fill(1) // by another instance
			<-time.After(61 * s)
		}
	})
}

// A message that Kafka does not accept is tried again after a minute, and never twice in a minute, however many there
// are.
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
		x.q.fill(100)
		x.draining()
		<-time.After(9 * time.Minute)
		if x.q.len() != 100 || len(x.q.reasons()) != 0 {
			x.Errorf("%d messages, %d poisoned", x.q.len(), len(x.q.reasons()))
		}
		for user, n := range x.k.perUser(&x.k.tries) {
			if n > 10 || n < 5 {
				x.Errorf("%s was tried %d times in 9 minutes", user, n)
			}
		}
		x.k.now(always(ms, nil))
		<-time.After(4 * time.Minute)
		if x.q.len() != 0 || x.k.count("Drained") != 100 {
			x.Errorf("%d messages left", x.q.len())
		}
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
		if n := x.k.count("Drained"); n != 900 {
			x.Errorf("%d drained, want 900", n)
		}
	})
}

// An unreachable queue is reported once, and its recovery once; nothing is lost, and registrations go to Kafka.
func TestOwnDrainWithoutAQueue(t *testing.T) {
	single(t, func(x *rig) {
		x.q.away(time.Now().Add(10 * time.Minute))
		x.q.fill(10)
		r, _ := x.draining()
		direct := func(i int) string { return fmt.Sprint("auth0|direct-", i) }
		x.callers(r, 60, 10*s, direct, func(user string, _ time.Time, out relay.Outcome) {
			if out.Kind != relay.InKafka {
				x.Errorf("%s: %+v", user, out)
			}
		})
		<-time.After(2 * time.Minute)
		if x.k.count("Unread") != 1 || x.k.count("Read") != 1 || x.q.len() != 0 {
			x.Errorf("told %d and %d times, %d left", x.k.count("Unread"), x.k.count("Read"), x.q.len())
		}
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
		limit, cancel := context.WithTimeout(x.Context(), 200*ms)
		defer cancel()
		r.Close(limit)
		if all, visible := x.q.size(); visible != c.visible || all != c.left {
			x.Errorf("%d of %d can be seen, want %d of %d", visible, all, c.visible, c.left)
		}
	})
}

// If messages of the outbox cannot be deleted, this process makes no copies of those that it has drained.
func TestDrainedIsNotDrainedAgain(t *testing.T) {
	single(t, func(x *rig) {
		x.q.away(time.Now().Add(10*time.Minute), "Delete")
		x.q.fill(50)
		x.draining()
		<-time.After(20 * time.Minute)
		if x.q.len() != 0 || x.k.n() != 50 || x.k.count("Drained") != 50 || x.k.count("Withdrawn") != 0 {
			x.Errorf("%d left, %d records, told %s", x.q.len(), x.k.n(), x.k.calls())
		}
	})
}

// A registration in the outbox is drained within seconds if Kafka accepts it.
func TestOwnDrainAfterAPut(t *testing.T) {
	single(t, func(x *rig) {
		x.k.now(script(answer{0, fails(delivery.Throttled)}, answer{0, nil}))
		r, _ := x.draining()
		<-time.After(10 * s)
		x.deliver(r, event(), relay.InOutbox)
		<-time.After(2 * s)
		x.equal("messages left, drained", []int{0, 1}, []int{x.q.len(), x.k.count("Drained:")})
	})
}
