package relay_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

var errStorage = &delivery.Error{Class: delivery.Unavailable, Op: "receive messages: NoConnection"}

// instantly is a Kafka that answers after a given time.
func instantly(d time.Duration) *kafka {
	return &kafka{answers: func(registration.Record) (time.Duration, error) { return d, nil }}
}

// users is how many records each user has.
func (k *kafka) users() map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := map[string]int{}
	for _, r := range k.records {
		all[string(r.Key)]++
	}
	return all
}

// Messages in the outbox at the start are drained at once, each once, in limited memory.
func TestOwnDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		k, q := instantly(5*time.Millisecond), &memory{takes: 5 * time.Millisecond}
		q.fill(n)
		start := time.Now()
		k.draining(t, q)
		for q.len() > 0 && time.Since(start) < time.Minute {
			<-time.After(100 * time.Millisecond)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if users := k.users(); len(users) != n || k.n() != n {
			t.Errorf("%d records of %d users", k.n(), len(users))
		}
		if q.atATime() > 96 || q.atATime() < 64 {
			t.Errorf("%d in hand at a time", q.atATime())
		}
		synctest.Wait()
		<-time.After(time.Second)
		if k.count("Emptied") != 1 || k.count("Drained") != n {
			t.Errorf("told %d times that it is empty, %d that a message is drained", k.count("Emptied"), k.count("Drained"))
		}
	})
}

// An idle drain checks the queue once a minute.
func TestOwnDrainIsIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, q := instantly(time.Millisecond), &memory{}
		k.draining(t, q)
		<-time.After(time.Hour)
		if n := q.looks(); n < 58 || n > 61 {
			t.Errorf("%d looks in an hour", n)
		}
		if k.count("Emptied") != 0 {
			t.Error("told of an outbox that never held anything")
		}
		q.fill(1) // by another instance
		<-time.After(61 * time.Second)
		if q.len() != 0 || k.count("Emptied") != 1 {
			t.Errorf("%d messages left, told %v", q.len(), k.told())
		}
	})
}

// A registration in the outbox is drained within seconds if Kafka accepts it.
func TestOwnDrainAfterAPut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, q := &journal{}, &memory{}
		j.produce = func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
			if j.n() == 1 {
				return delivery.RecordMetadata{}, fails(delivery.Throttled)
			}
			return stored(), nil
		}
		r, _ := j.draining(t, q)
		<-time.After(10 * time.Second)
		if out, err := r.Deliver(t.Context(), event()); err != nil || out.Kind != relay.InOutbox {
			t.Fatal(out, err)
		}
		<-time.After(2 * time.Second)
		if q.len() != 0 || j.count("Drained") != 1 {
			t.Errorf("%d messages left, told %v", q.len(), j.told())
		}
	})
}

// A message that Kafka does not accept is tried again after a minute, and never twice in a minute, however many there
// are.
func TestOwnDrainOfRefused(t *testing.T) {
	t.Parallel()
	for _, class := range []delivery.Class{
		delivery.NotAuthorized, delivery.UnknownTopic, delivery.Throttled, delivery.TopicRule, delivery.Fatal, delivery.Unavailable, delivery.TooLarge,
	} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fixes := time.Now().Add(10 * time.Minute)
				k := &kafka{answers: func(registration.Record) (time.Duration, error) {
					if time.Now().Before(fixes) {
						return time.Millisecond, fails(class)
					}
					return time.Millisecond, nil
				}}
				q := &memory{}
				q.fill(200)
				k.draining(t, q)
				<-time.After(9 * time.Minute)
				if q.len() != 200 || len(q.reasons()) != 0 {
					t.Errorf("%d messages, %d poisoned", q.len(), len(q.reasons()))
				}
				for user, n := range k.users() {
					if n > 10 {
						t.Errorf("%s was tried %d times in 9 minutes", user, n)
					}
				}
				<-time.After(4 * time.Minute)
				if q.len() != 0 || k.count("Drained") != 200 {
					t.Errorf("%d messages left", q.len())
				}
			})
		})
	}
}

// A message that fails for a week goes to the poison queue. A message that can never be drained goes there at once.
func TestOwnDrainGivesUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tries  int64
		answer error
		body   []byte
		reason string
	}{
		"after its last try":          {9_999, fails(delivery.NotAuthorized), nil, "Kafka did not accept it in 10,000 attempts."},
		"not before":                  {9_998, fails(delivery.NotAuthorized), nil, ""},
		"invalid":                     {0, fails(delivery.Invalid), nil, "Kafka rejects the record as invalid."},
		"no message":                  {0, nil, []byte("hello"), "It cannot be read: body: must be a CloudEvent in JSON, as this program writes it into its outbox"},
		"of a later version":          {0, nil, []byte(`{"userrelayversion":2}`), ""},
		"of a later version, at last": {9_999, nil, []byte(`{"userrelayversion":2}`), "Kafka did not accept it in 10,000 attempts."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := &kafka{answers: func(registration.Record) (time.Duration, error) { return 0, c.answer }}
				q := &memory{}
				body := c.body
				if body == nil {
					body = queued().Encode()
				}
				q.add(body, 0)
				q.messages[0].tries = c.tries
				k.draining(t, q)
				<-time.After(5 * time.Second)
				if got := strings.Join(q.reasons(), "\n"); got != c.reason || (q.len() == 0) != (c.reason != "") {
					t.Errorf("reason %q, want %q; %d left", got, c.reason, q.len())
				}
			})
		})
	}
}

// The messages of one dead partition do not delay the others, however many there are.
func TestOwnDrainWithADeadPartition(t *testing.T) {
	t.Parallel()
	for name, takes := range map[string]time.Duration{"no leader": -1, "silent": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k, q := &kafka{}, &memory{}
				k.answers = func(r registration.Record) (time.Duration, error) {
					if !strings.HasSuffix(string(r.Key), "7") {
						return 5 * time.Millisecond, nil
					}
					if takes < 0 {
						return 0, fails(delivery.Unavailable)
					}
					return takes, nil
				}
				q.fill(1000)
				k.draining(t, q)
				<-time.After(2 * time.Minute)
				if n := k.count("Drained"); n != 900 {
					t.Errorf("%d drained, want 900", n)
				}
			})
		})
	}
}

// An unreachable queue is reported once, and its recovery once; nothing is lost.
func TestOwnDrainWithoutAQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(10 * time.Minute)
		k, q := instantly(time.Millisecond), &memory{}
		q.fault = func(string, registration.Envelope) error {
			if time.Now().Before(back) {
				return errStorage
			}
			return nil
		}
		q.fill(10)
		r, _ := k.draining(t, q)
		for i := range 600 {
			out, err := r.Deliver(t.Context(), registered(fmt.Sprint("e-", i), fmt.Sprint("auth0|direct-", i)))
			if err != nil || out.Kind != relay.InKafka {
				t.Fatalf("%+v, %v", out, err)
			}
			<-time.After(time.Second)
		}
		<-time.After(2 * time.Minute)
		if k.count("Unread") != 1 || k.count("Read") != 1 || q.len() != 0 {
			t.Errorf("told %d and %d times, %d left", k.count("Unread"), k.count("Read"), q.len())
		}
	})
}

// At shutdown messages become visible again at once, except those that Kafka may still store.
func TestOwnDrainEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kafka          *kafka
		visible, left  int
		within         time.Duration
		poisonsNothing bool
	}{
		"Kafka does not accept them": {&kafka{answers: nil}, 40, 40, 100 * time.Millisecond, true},
		"Kafka is about to answer":   {instantly(3 * time.Second), 0, 0, 3 * time.Second, true},
		"Kafka is silent":            {instantly(time.Hour), 0, 40, 4 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := &memory{}
				q.fill(40)
				j := c.kafka.wire()
				if c.kafka.answers == nil { // they wait in the producer's queue, from which their caller takes them back
					j.produce = func(ctx context.Context, _ registration.Record) (delivery.RecordMetadata, error) {
						<-ctx.Done()
						return delivery.RecordMetadata{}, fails(delivery.Unavailable)
					}
				}
				r, stop := j.draining(t, q)
				<-time.After(time.Second)
				if q.visible() != 0 {
					t.Fatalf("%d are not in hand", q.visible())
				}
				start := time.Now()
				stop()
				if took := time.Since(start); took > c.within {
					t.Errorf("the end took %v", took)
				}
				limit, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				r.Close(limit)
				if q.visible() != c.visible || q.len() != c.left {
					t.Errorf("%d of %d can be seen, want %d of %d", q.visible(), q.len(), c.visible, c.left)
				}
			})
		})
	}
}

// Both drains run at the same time, in one process and in two, while the queue and Kafka fail now and then: nothing is
// lost, and there are no copies.
func TestBothDrains(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 2} {
		t.Run(strconv.Itoa(processes), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const n = 1000
				q := &memory{takes: 10 * time.Millisecond}
				var mu sync.Mutex
				calls := 0
				// If one process has drained a message and the host does not delete it, another process drains it
				// again: a row of the guarantees. The time is shorter than the 15 min for which a process remembers
				// drained messages.
				ended := time.Now().Add(8 * time.Minute)
				stumbles := func() bool { return time.Now().Before(ended) }
				undeleted := func(op string) bool { return op == "Delete" && processes > 1 }
				q.fault = func(op string, _ registration.Envelope) error {
					mu.Lock()
					defer mu.Unlock()
					if calls++; calls%7 == 0 && !undeleted(op) && stumbles() {
						return errStorage
					}
					return nil
				}
				q.after = func(op string) error { // done, and not told
					mu.Lock()
					defer mu.Unlock()
					if calls%11 == 0 && stumbles() {
						return errStorage
					}
					return nil
				}
				q.fill(n)
				k := instantly(200 * time.Millisecond)
				j := k.wire()
				stop, cancel := context.WithCancel(t.Context())
				var trigger sync.WaitGroup
				for range processes {
					r, _ := j.draining(t, q)
					for range 24 {
						trigger.Go(func() {
							for stop.Err() == nil {
								got, err := q.Receive(stop, 1, 3*time.Minute)
								if err != nil || len(got) == 0 {
									<-time.After(5 * time.Second)
									continue
								}
								if r.Drain(stop, got[0].Message) == nil {
									_ = q.Delete(stop, got[0].Kept) // the host tries once, and the message comes again
								}
							}
						})
					}
				}
				// A message stays hidden for minutes each time the queue's answer is lost.
				<-time.After(30 * time.Minute)
				cancel()
				trigger.Wait()
				users := k.users()
				if q.len() != 0 || len(users) != n || k.n() != n {
					t.Errorf("%d left, %d records of %d users", q.len(), k.n(), len(users))
				}
			})
		})
	}
}

// If messages of the outbox cannot be deleted, this process makes no copies of those that it has drained.
func TestDrainedIsNotDrainedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(10 * time.Minute)
		k, q := instantly(time.Millisecond), &memory{}
		q.fault = func(op string, _ registration.Envelope) error {
			if op == "Delete" && time.Now().Before(back) {
				return errStorage
			}
			return nil
		}
		q.fill(50)
		k.draining(t, q)
		<-time.After(20 * time.Minute)
		if q.len() != 0 || k.n() != 50 || k.count("Drained") != 50 {
			t.Errorf("%d left, %d records", q.len(), k.n())
		}
	})
}
