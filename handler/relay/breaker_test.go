package relay_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// until is a Kafka that does not answer before a given time, and then needs some time for each record.
func (j *journal) until(back time.Time, takes time.Duration) {
	j.produce = func(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
		if time.Now().Before(back) {
			return waits(time.Hour, nil)(ctx, r)
		}
		return waits(takes, nil)(ctx, r)
	}
	j.check = func(ctx context.Context) error {
		if time.Now().Before(back) {
			<-ctx.Done()
			return fails(delivery.Unavailable)
		}
		return nil
	}
}

// While Kafka is unavailable, registrations go directly to the outbox without waiting; when it is back they go to
// Kafka again.
func TestKafkaIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &memory{takes: 10 * time.Millisecond}
		back := time.Now().Add(time.Minute)
		j := &journal{}
		j.until(back, time.Millisecond)
		r, _ := j.draining(t, q)
		var callers sync.WaitGroup
		for i := range 70 * 20 { // one every 50 ms
			callers.Go(func() {
				start := time.Now()
				out, err := r.Deliver(t.Context(), registered(strconv.Itoa(i), fmt.Sprint("auth0|", i)))
				if err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took > 2*time.Second+10*time.Millisecond {
					t.Errorf("%d took %v", i, took)
				}
				if out.Kind != relay.InKafka && start.After(back.Add(7*time.Second)) { // a question, and a second until the next
					t.Errorf("%d is in the outbox, %v after Kafka came back", i, start.Sub(back))
				}
			})
			<-time.After(50 * time.Millisecond)
		}
		callers.Wait()
		asked := 0
		j.mu.Lock()
		for _, sent := range j.sent {
			if sent.Start.After(back.Add(-50*time.Second)) && sent.Start.Before(back) {
				asked++
			}
		}
		j.mu.Unlock()
		if asked != 0 {
			t.Errorf("%d registrations waited for Kafka, which was away", asked)
		}
		if d, r := j.count("Diverted"), j.count("Resumed"); d != 1 || r != 1 {
			t.Errorf("told %d times that Kafka is away and %d times that it is back", d, r)
		}
		<-time.After(2 * time.Minute)
		if n := q.len(); n != 0 {
			t.Errorf("%d are in the outbox still", n)
		}
		if n := j.count("Emptied"); n != 1 {
			t.Errorf("told %d times that the outbox is empty", n)
		}
	})
}

// registered is an event as a request makes it.
func registered(id, userID string) registration.Event {
	return registration.Event{ID: id, UserID: userID, Source: "urn:auth0:acme", Time: time.Unix(1, 0)}
}

// trip opens the breaker.
func trip(t *testing.T, r *relay.Relay) {
	t.Helper()
	for i := range 5 {
		if _, err := r.Deliver(t.Context(), registered(fmt.Sprint("trip-", i), fmt.Sprint("auth0|trip-", i))); err != nil {
			t.Fatal(err)
		}
	}
}

// An app without requests notices that Kafka is back, and drains. It reports the length of the outage and the number
// of waiting messages.
func TestQuietAppDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, q := &journal{}, &memory{}
		back := time.Now().Add(31 * time.Second)
		j.until(back, 100*time.Millisecond)
		j.check = func(context.Context) error {
			if time.Now().Before(back) {
				return fails(delivery.Unavailable)
			}
			return nil
		}
		r, _ := j.draining(t, q)
		j.become(waits(0, fails(delivery.Unavailable), fails(delivery.Unavailable), fails(delivery.Unavailable), fails(delivery.Unavailable),
			fails(delivery.Unavailable), nil, nil, nil, nil, nil))
		trip(t, r)
		<-time.After(40 * time.Second)
		if q.len() != 0 {
			t.Errorf("%d are in the outbox still", q.len())
		}
		if j.count("Resumed after 31s, 5 wait") != 1 || j.count("Emptied") != 1 {
			t.Errorf("told: %v", j.told())
		}
		if n := j.questions(); n < 31 || n > 45 {
			t.Errorf("Kafka was asked %d times in 31 s", n)
		}
	})
}

// Without registrations and drains, Kafka counts as back after it has answered checks for half a minute. Then the
// checks end.
func TestQuietAppWithoutBacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{produce: func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
			return delivery.RecordMetadata{}, fails(delivery.Unavailable)
		}}
		r := j.with(t, &store{})
		trip(t, r)
		<-time.After(29 * time.Second)
		if j.count("Resumed") != 0 {
			t.Error("told too early that Kafka is back")
		}
		<-time.After(3 * time.Second)
		n := j.questions()
		if j.count("Resumed after 3") != 1 || n < 29 {
			t.Errorf("asked %d times, told %v", n, j.told())
		}
		<-time.After(time.Hour)
		if j.questions() != n {
			t.Error("Kafka is asked although it is there")
		}
	})
}

// A Kafka that answers but stores nothing delays five registrations at a time, and never counts as back.
func TestKafkaAnswersAndStoresNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var waiting, most atomic.Int64
		j := &journal{}
		j.produce = func(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
			n := waiting.Add(1)
			defer waiting.Add(-1)
			if j.count("Diverted") > 0 && n > most.Load() {
				most.Store(n)
			}
			return waits(time.Hour, nil)(ctx, r)
		}
		r := j.with(t, &store{})
		slow := atomic.Int64{}
		var callers sync.WaitGroup
		for i := range 60 * 100 {
			callers.Go(func() {
				start := time.Now()
				if _, err := r.Deliver(t.Context(), registered(strconv.Itoa(i), fmt.Sprint("auth0|", i))); err != nil {
					t.Error(err)
				}
				if time.Since(start) > time.Second && i > 500 {
					slow.Add(1)
				}
			})
			<-time.After(10 * time.Millisecond)
		}
		callers.Wait()
		if n := slow.Load(); n > 5*30 || n < 5*20 {
			t.Errorf("%d of 5500 waited", n)
		}
		if j.count("Diverted") != 1 || j.count("Resumed") != 0 {
			t.Errorf("told %d times that Kafka is away, %d times that it is back", j.count("Diverted"), j.count("Resumed"))
		}
	})
}

// A drained record proves that Kafka is available, whatever it answers to checks.
func TestDrainClosesTheBreaker(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes time.Duration
		back  bool
	}{"in time": {1500 * time.Millisecond, true}, "late": {2500 * time.Millisecond, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &journal{check: func(context.Context) error { return fails(delivery.Unavailable) }}
				j.produce = func(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
					if string(r.Key) == queued().Event.UserID {
						return waits(c.takes, nil)(ctx, r)
					}
					return delivery.RecordMetadata{}, fails(delivery.Unavailable)
				}
				r := j.with(t, &store{})
				drained := make(chan error)
				go func() { drained <- r.Drain(t.Context(), queued().Encode()) }()
				synctest.Wait()
				trip(t, r)
				<-time.After(time.Second)
				if err := <-drained; err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if back := j.count("Resumed") == 1; back != c.back {
					t.Errorf("told %v", j.told())
				}
			})
		})
	}
}

// Failed drains do not keep registrations from Kafka.
func TestDrainsNeverDivert(t *testing.T) {
	t.Parallel()
	for name, produce := range map[string]func(context.Context, registration.Record) (delivery.RecordMetadata, error){
		"late": lately(10*time.Second, nil),
		"refused": func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
			return delivery.RecordMetadata{}, fails(delivery.NotAuthorized)
		},
		"away": func(ctx context.Context, _ registration.Record) (delivery.RecordMetadata, error) {
			<-ctx.Done()
			return delivery.RecordMetadata{}, fails(delivery.Unavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &journal{}
				j.produce = func(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
					if string(r.Key) == "auth0|healthy" {
						return stored(), nil
					}
					return produce(ctx, r)
				}
				q := &memory{}
				q.fill(100)
				r, _ := j.draining(t, q)
				var drains sync.WaitGroup
				for range 24 {
					drains.Go(func() { _ = r.Drain(t.Context(), queued().Encode()) })
				}
				for i := range 100 {
					out, err := r.Deliver(t.Context(), registered(strconv.Itoa(i), "auth0|healthy"))
					if err != nil || out.Kind != relay.InKafka {
						t.Fatalf("%d: %+v, %v", i, out, err)
					}
					<-time.After(time.Second)
				}
				drains.Wait()
				if j.count("Diverted") > 0 {
					t.Error("drains opened the breaker")
				}
			})
		})
	}
}

// If one of eight partitions is dead, nearly no registration of the others goes to the outbox, at any rate of
// requests, even if a user of the dead partition tries without a pause.
func TestOneDeadPartition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every time.Duration
		n     int
		storm bool // one user of the dead partition registers all the time
	}{
		"one a second":                 {time.Second, 1_000, false},
		"one in 20 s":                  {20 * time.Second, 300, false},
		"one a second, and a storm":    {time.Second, 600, true},
		"one in 20 s, and a storm":     {20 * time.Second, 40, true},
		"twenty a second":              {50 * time.Millisecond, 2_000, false},
		"twenty a second, and a storm": {50 * time.Millisecond, 1_000, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dead := func(user string) bool {
					h := fnv.New32a()
					_, _ = h.Write([]byte(user))
					return h.Sum32()%8 == 3
				}
				k := &kafka{answers: func(r registration.Record) (time.Duration, error) {
					if dead(string(r.Key)) {
						return time.Hour, nil
					}
					return 5 * time.Millisecond, nil
				}}
				q := &memory{takes: 10 * time.Millisecond}
				r, _ := k.draining(t, q)
				random := rand.New(rand.NewPCG(1, 2))
				stop := make(chan struct{})
				var storm sync.WaitGroup
				if c.storm {
					victim := ""
					for i := 0; victim == "" || !dead(victim); i++ {
						victim = fmt.Sprint("auth0|storm", i)
					}
					storm.Go(func() {
						for i := 0; ; i++ {
							select {
							case <-stop:
								return
							default:
								_, _ = r.Deliver(t.Context(), registered(fmt.Sprint("s-", i), victim))
							}
						}
					})
				}
				healthy, diverted := atomic.Int64{}, atomic.Int64{}
				var callers sync.WaitGroup
				for i := range c.n {
					user := fmt.Sprint("auth0|", random.Uint64())
					callers.Go(func() {
						out, err := r.Deliver(t.Context(), registered(strconv.Itoa(i), user))
						if err != nil {
							t.Error(err)
						}
						if dead(user) {
							return
						}
						healthy.Add(1)
						if out.Kind != relay.InKafka {
							diverted.Add(1)
						}
					})
					<-time.After(c.every)
				}
				close(stop)
				storm.Wait()
				callers.Wait()
				share := float64(diverted.Load()) / float64(healthy.Load())
				t.Logf("%.3f %% of %d registrations of healthy partitions were diverted", 100*share, healthy.Load())
				if opened := k.count("Diverted"); c.storm && c.every > time.Second && opened == 0 {
					t.Error("the storm did not open the breaker: nothing was shown")
				}
				if share >= 0.01 {
					t.Errorf("%.1f %% of %d registrations of healthy partitions were diverted", 100*share, healthy.Load())
				}
			})
		})
	}
}

// If Kafka is slower than registrations wait, the outbox drains at the rate at which Kafka answers.
func TestSlowKafkaDrains(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{2100 * time.Millisecond, 2900 * time.Millisecond} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprint(takes, ", own ", own), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					k := &kafka{
						answers: func(registration.Record) (time.Duration, error) { return takes, nil },
						asks: func(ctx context.Context) error {
							select {
							case <-time.After(takes):
								return nil
							case <-ctx.Done():
								return ctx.Err()
							}
						},
					}
					q := &memory{}
					q.fill(2_500)
					var r *relay.Relay
					stop := func() {}
					const run = time.Minute
					ended := time.Now().Add(run)
					var trigger sync.WaitGroup
					var drained atomic.Int64
					if own {
						r, stop = k.draining(t, q)
					} else {
						r = k.with(t, q)
						for range 24 { // as many as the host has in hand
							trigger.Go(func() {
								for time.Now().Before(ended) {
									got, err := q.Receive(t.Context(), 1, 10*time.Minute)
									if err != nil || len(got) != 1 {
										t.Errorf("%v, %v", got, err)
										return
									}
									if err := r.Drain(t.Context(), got[0].Message); err != nil {
										t.Error(err)
										return
									}
									_ = q.Delete(t.Context(), got[0].Kept)
									drained.Add(1)
								}
							})
						}
					}
					var callers sync.WaitGroup
					for i := 0; time.Now().Before(ended); i++ {
						callers.Go(func() {
							if _, err := r.Deliver(t.Context(), registered(strconv.Itoa(i), "auth0|1")); err != nil {
								t.Error(err)
							}
						})
						<-time.After(time.Second)
					}
					n := drained.Load()
					if own {
						n = int64(k.count("Drained"))
					}
					stop()
					trigger.Wait()
					callers.Wait()
					want := int64(0.9 * 24 * float64(run) / float64(takes))
					t.Logf("%d drained in %v, want %d", n, run, want)
					if n < want {
						t.Errorf("%d drained in %v, want %d", n, run, want)
					}
				})
			})
		}
	}
}

// kafka is a Kafka with late answers: a journal whose producer goes on after its caller has given up.
type kafka struct {
	journal

	answers func(registration.Record) (time.Duration, error)
	asks    func(context.Context) error // nil: it answers when it is asked
}

func (k *kafka) wire() *journal {
	k.check = k.asks
	k.become(func(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
		k.mu.Lock()
		answers := k.answers
		k.mu.Unlock()
		takes, err := answers(r)
		due := time.Now().Add(takes)
		wait := func(ctx context.Context) error {
			timer := time.NewTimer(time.Until(due))
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		answer := func() (delivery.RecordMetadata, error) {
			if err != nil {
				return delivery.RecordMetadata{}, err
			}
			return stored(), nil
		}
		if wait(ctx) == nil {
			return answer()
		}
		return delivery.RecordMetadata{}, &delivery.Error{Class: delivery.UnknownOutcome, Op: "wait", Late: func(ctx context.Context) (delivery.RecordMetadata, error) {
			gaveUp, cancel := context.WithTimeout(ctx, 60*time.Second)
			defer cancel()
			if wait(gaveUp) != nil {
				return delivery.RecordMetadata{}, fails(delivery.UnknownOutcome)
			}
			return answer()
		}}
	})
	return &k.journal
}

// now changes its answers.
func (k *kafka) now(answers func(registration.Record) (time.Duration, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answers = answers
}

func (k *kafka) draining(t *testing.T, q *memory) (*relay.Relay, func()) {
	t.Helper()
	return k.wire().draining(t, q)
}

func (k *kafka) with(t *testing.T, o relay.Outbox) *relay.Relay {
	t.Helper()
	r := relay.New(relay.Config{Producer: k.wire(), Outbox: o, Observer: &k.journal, KafkaTimeout: 2 * time.Second, OutboxTimeout: 1500 * time.Millisecond, Profile: true})
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}
