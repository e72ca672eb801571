package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// A copy is deleted, or made visible, however long the queue fails, unless somebody has received it.
func TestTakingBackIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  error
		fails   time.Duration // the queue, from the late answer on
		lost    bool          // its answers are, once it works again
		left    int
		told    string
		visible int
	}{
		"stored, the queue fails once":           {nil, time.Millisecond, false, 0, "Withdrawn", 0},
		"stored, the queue fails for 80 s":       {nil, 80 * time.Second, false, 0, "Withdrawn", 0},
		"stored, and the queue's answer is lost": {nil, 0, true, 0, "Withdrawn", 0},
		"stored, the queue fails for good":       {nil, time.Hour, false, 1, "", 0},
		"certainly not, it fails for 20 s":       {fails(delivery.Unavailable), 20 * time.Second, false, 1, "", 1},
		"nobody knows":                           {fails(delivery.UnknownOutcome), 0, false, 1, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j, q := &journal{produce: lately(3*time.Second, c.answer)}, &memory{}
				back := time.Now().Add(3*time.Second + c.fails)
				q.fault = func(op string, _ registration.Envelope) error {
					if (op == "Delete" || op == "Show") && time.Now().Before(back) {
						return errStorage
					}
					return nil
				}
				lost := sync.Once{}
				q.after = func(string) (err error) {
					if c.lost && time.Now().After(back.Add(-time.Second)) {
						lost.Do(func() { err = errStorage })
					}
					return err
				}
				r := j.with(t, q)
				out, err := r.Deliver(t.Context(), withProfile())
				if err != nil || out.Kind != relay.InOutbox {
					t.Fatalf("%+v, %v", out, err)
				}
				<-time.After(85 * time.Second)
				if c.told != "" && j.count(c.told) != 1 || q.len() != c.left || q.visible() != c.visible {
					t.Errorf("told %v; %d left, %d can be seen", j.told(), q.len(), q.visible())
				}
			})
		})
	}
}

// A message that could not be deleted is deleted when this process receives it, and makes no copy.
func TestSeenAfterAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(2 * time.Minute)
		k := instantly(3 * time.Second) // later than a registration waits
		q := &memory{fault: func(op string, _ registration.Envelope) error {
			if op == "Delete" && time.Now().Before(back) {
				return errStorage
			}
			return nil
		}}
		r, _ := k.draining(t, q)
		if out, err := r.Deliver(t.Context(), event()); err != nil || out.Kind != relay.InOutbox {
			t.Fatalf("%+v, %v", out, err)
		}
		<-time.After(6 * time.Minute)
		if q.len() != 0 || k.n() != 1 || k.count("Withdrawn") != 1 {
			t.Errorf("%d left, %d records, told %v", q.len(), k.n(), k.told())
		}
	})
}

// The queue stores a message and its answer is lost. Then Kafka stores the record. The message is found and deleted.
func TestDoubtfulPutIsFound(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"Kafka's answer is late": true, "Kafka is the last resort": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := instantly(time.Millisecond)
				if late {
					k = instantly(2500 * time.Millisecond)
				}
				q := &memory{}
				r, _ := k.draining(t, q)
				if !late {
					k.leave(t, r)
				}
				q.losing(putUnknown)
				out, err := r.Deliver(t.Context(), event())
				if err != nil || out.Kind != relay.InKafka {
					t.Fatalf("%+v, %v", out, err)
				}
				<-time.After(5 * time.Minute)
				if n := k.users()["auth0|1"]; q.len() != 0 || n != 1 {
					t.Errorf("%d left, %d records", q.len(), n)
				}
			})
		})
	}
}

// putUnknown loses the answer to a put that the queue has carried out.
func putUnknown(op string) error {
	if op == "Put" {
		return fails(delivery.UnknownOutcome)
	}
	return nil
}

// leave opens the breaker of a relay whose Kafka is back, which the relay does not know yet.
func (k *kafka) leave(t *testing.T, r *relay.Relay) {
	t.Helper()
	k.become(func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
		return delivery.RecordMetadata{}, fails(delivery.Unavailable)
	})
	trip(t, r)
	k.forget()
	k.wire()
}

// The queue stores a message, which is drained before the put times out: Kafka has the record, and gets it only once.
func TestDoubtfulPutIsDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := instantly(time.Millisecond)
		q := &memory{}
		r, _ := k.draining(t, q)
		k.become(func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
			k.wire()
			return delivery.RecordMetadata{}, fails(delivery.Unavailable)
		})
		q.losing(func(op string) error {
			if op == "Put" {
				<-time.After(1400 * time.Millisecond)
				return fails(delivery.UnknownOutcome)
			}
			return nil
		})
		<-time.After(59 * time.Second) // a second before the next look
		out, err := r.Deliver(t.Context(), event())
		if err != nil || out.Kind != relay.InKafka || out.Kafka != stored() || k.n() != 2 || k.count("Drained") != 1 {
			t.Errorf("%+v, %v, %d records, told %v", out, err, k.n(), k.told())
		}
	})
}

// If the outbox fails at once, Kafka's late answer may take the rest of the outbox's time.
func TestLateAnswerInTheOutboxsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := instantly(3 * time.Second)
		r := k.with(t, &store{fails: errQueue})
		start := time.Now()
		out, err := r.Deliver(t.Context(), event())
		if err != nil || out.Kind != relay.InKafka || time.Since(start) != 3*time.Second {
			t.Errorf("%+v, %v after %v", out, err, time.Since(start))
		}
	})
}

// The repeat of a registration with an unknown outcome waits for the late answer, and writes nothing.
func TestRepeatOfUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes   time.Duration // Kafka, for the first
		after   time.Duration // the repeat, after the first one's answer
		outbox  *store
		class   delivery.Class
		replay  bool
		records int
	}{
		"known meanwhile":        {4 * time.Second, 3 * time.Second, &store{fails: errQueue}, "", true, 1},
		"known while it waits":   {5 * time.Second, 500 * time.Millisecond, &store{fails: errQueue}, "", true, 1},
		"not known in its time":  {20 * time.Second, 500 * time.Millisecond, &store{fails: errQueue}, delivery.UnknownOutcome, false, 1},
		"nobody will know":       {time.Hour, 70 * time.Second, &store{fails: errQueue}, delivery.UnknownOutcome, false, 2},
		"without an outbox":      {4 * time.Second, time.Second, nil, "", true, 1},
		"the outbox may have it": {4 * time.Second, time.Second, &store{fails: fails(delivery.UnknownOutcome)}, "", true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := instantly(c.takes)
				var o relay.Outbox
				if c.outbox != nil {
					o = c.outbox
				}
				r := k.with(t, o)
				if _, err := r.Deliver(t.Context(), event()); delivery.ClassOf(err) != delivery.UnknownOutcome {
					t.Fatalf("the first has %v", err)
				}
				<-time.After(c.after)
				start := time.Now()
				out, err := r.Deliver(t.Context(), event())
				took := time.Since(start)
				synctest.Wait()
				if class := delivery.ClassOf(err); class != c.class || out.Replayed != c.replay || k.n() != c.records {
					t.Errorf("%+v, %v, %d records", out, err, k.n())
				}
				if c.replay && (out.Kind != relay.InKafka || out.Kafka != stored() || out.EventID != "e-1" || k.count("Forwarded") != 1) {
					t.Errorf("%+v, told %v", out, k.told())
				}
				if took > 4*time.Second || c.replay && took > 2*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// Registrations that wait for Kafka's late answer keep no profile in memory.
func TestHiddenMessagesAreSmall(t *testing.T) { //nolint:paralleltest // it looks at the heap, which is everybody's
	const n, size = 64, 1 << 20
	answer := make(chan struct{})
	j := &journal{}
	produce := func(ctx context.Context, _ registration.Record) (delivery.RecordMetadata, error) {
		<-ctx.Done()
		return delivery.RecordMetadata{}, &delivery.Error{Class: delivery.UnknownOutcome, Op: "wait", Late: func(context.Context) (delivery.RecordMetadata, error) {
			<-answer
			return stored(), nil
		}}
	}
	r := relay.New(relay.Config{
		Producer: forgetful{produce}, Outbox: &forgetfulStore{}, Observer: silent{j},
		KafkaTimeout: 10 * time.Millisecond, OutboxTimeout: time.Second, Profile: true,
	})
	defer r.Close(context.Background())
	before := heap()
	for i := range n {
		e := registered(fmt.Sprint("e-", i), "auth0|1")
		e.Profile = bytes.Repeat([]byte("x"), size)
		if _, err := r.Deliver(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if held := heap() - before; held > n*size/8 {
		t.Errorf("%d bytes are held for %d hidden messages", held, n)
	}
	close(answer)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// forgetful is a Kafka that discards records, and forgetfulStore an outbox that discards messages.
type forgetful struct {
	produce func(context.Context, registration.Record) (delivery.RecordMetadata, error)
}

func (f forgetful) Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	return f.produce(ctx, r)
}

func (forgetful) Check(context.Context) error { return nil }

type forgetfulStore struct{ store }

func (*forgetfulStore) Put(context.Context, registration.Envelope, time.Duration) (delivery.Kept, error) {
	return kept(1), nil
}

// silent reports nothing with an event to the journal.
type silent struct{ *journal }

func (silent) Received(context.Context, registration.Event)        {}
func (silent) Sent(context.Context, delivery.SendAttempt)          {}
func (silent) Put(context.Context, delivery.PutAttempt)            {}
func (silent) Outboxed(context.Context, registration.Event, error) {}
func (silent) Withdrawn(context.Context, registration.Event, delivery.RecordMetadata) {
}

// A registration that Kafka rejects as invalid leaves at most one copy in five minutes in the poison queue, and none
// in the outbox.
func TestInvalidIsPoisonedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &kafka{answers: func(registration.Record) (time.Duration, error) { return 0, fails(delivery.Invalid) }}
		q := &memory{}
		away := true
		q.fault = func(string, registration.Envelope) error {
			if away {
				return errStorage
			}
			return nil
		}
		r := k.with(t, q)
		refused := func(e registration.Event, copies int) {
			t.Helper()
			if _, err := r.Deliver(t.Context(), e); delivery.ClassOf(err) != delivery.Invalid {
				t.Errorf("error %v", err)
			}
			if len(q.reasons()) != copies || q.len() != 0 {
				t.Errorf("%d copies, want %d; %d in the outbox", len(q.reasons()), copies, q.len())
			}
		}
		refused(event(), 0) // the queue is away
		away = false
		refused(event(), 1)
		refused(event(), 1)
		refused(registered("e-1", "auth0|1"), 1) // a derived id is one, too
		refused(registered("e-1", "auth0|2"), 2)
		<-time.After(5*time.Minute + time.Second)
		refused(event(), 3)
	})
}

// RECORD_PROFILE applies when the record is written, not when the message was.
func TestDrainWithoutProfile(t *testing.T) {
	t.Parallel()
	for name, profile := range map[string]bool{"id": false, "full": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &journal{produce: waits(0, nil, nil, fails(delivery.Invalid))}
			var poisoned []byte
			r := relay.New(relay.Config{
				Producer: j, Outbox: &keeper{message: &poisoned}, Observer: j, KafkaTimeout: time.Second, OutboxTimeout: time.Second, Profile: profile,
			})
			defer r.Close(context.Background())
			omitted := queued()
			omitted.Event = omitted.Event.WithoutProfile()
			again := queued()
			again.Queued = again.Queued.Add(time.Hour)
			for _, m := range []registration.Envelope{queued(), omitted, again} {
				m.Queued = m.Queued.Add(time.Duration(j.n()) * time.Minute)
				if err := r.Drain(t.Context(), m.Encode()); err != nil {
					t.Fatal(err)
				}
			}
			if has := bytes.Contains(j.records[0].Value, []byte("jane@example.com")); has != profile {
				t.Errorf("record %s", j.records[0].Value)
			}
			said := false
			for _, h := range j.records[1].Headers {
				said = said || h.Key == "ce_profileomitted"
			}
			if said != profile {
				t.Errorf("headers %v", j.records[1].Headers)
			}
			if has := bytes.Contains(poisoned, []byte("jane@example.com")); has != profile {
				t.Errorf("in the poison queue: %s", poisoned)
			}
		})
	}
}

// keeper is a poison queue that keeps its last message.
type keeper struct {
	store

	message *[]byte
}

func (k *keeper) Poison(_ context.Context, message []byte, _ string) (delivery.Kept, error) {
	*k.message = message
	return delivery.Kept{ID: "p-1"}, nil
}

// While the breaker is open a registration goes to the outbox first, and to Kafka as the last resort. Kafka's answer
// to that may be late as well: a repeat waits for it, and if the queue has the message it is recognised when received.
func TestLastResortIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := instantly(4 * time.Second)
		q := &memory{}
		r, _ := k.draining(t, q)
		k.leave(t, r)
		q.losing(putUnknown)
		if _, err := r.Deliver(t.Context(), event()); delivery.ClassOf(err) != delivery.UnknownOutcome {
			t.Fatalf("the first has %v", err)
		}
		<-time.After(time.Second)
		out, err := r.Deliver(t.Context(), event())
		if err != nil || !out.Replayed || out.Kind != relay.InKafka || out.Kafka != stored() {
			t.Errorf("the repeat has %+v, %v", out, err)
		}
		<-time.After(5 * time.Minute)
		if n := k.users()["auth0|1"]; q.len() != 0 || n != 1 {
			t.Errorf("%d left, %d records", q.len(), n)
		}
	})
}
