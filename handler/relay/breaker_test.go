package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// absent are the checks of a Kafka that fails them, or does not answer them in time, before it is back.
func absent(back time.Time, silent bool) func(context.Context) error {
	return func(ctx context.Context) error {
		if !time.Now().Before(back) {
			return nil
		}
		if silent {
			<-ctx.Done()
		}
		return fails(delivery.Unavailable)
	}
}

// While Kafka is unavailable, registrations go directly to the outbox without waiting; when it is back they go to
// Kafka again.
func TestKafkaIsAway(t *testing.T) {
	bubble(t, func(x *rig) {
		x.q.takes = 10 * ms
		back := time.Now().Add(time.Minute)
		x.k.checks = absent(back, true)
		x.k.answers = func(registration.Record) answer {
			if time.Now().Before(back) {
				return answer{0, errUnsent}
			}
			return answer{ms, nil}
		}
		r, _ := x.draining()
		x.callers(r, 70*10, 100*ms, anybody, func(user string, start time.Time, out relay.Outcome) {
			if took := time.Since(start); took > 2*s+10*ms {
				x.Errorf("%s took %v", user, took)
			}
			if out.Kind != relay.InKafka && start.After(back.Add(7*s)) { // a question, and a second until the next
				x.Errorf("%s is in the outbox, %v after Kafka came back", user, start.Sub(back))
			}
		})
		x.k.mu.Lock()
		for _, sent := range x.k.sent {
			if sent.Start.After(back.Add(-50*s)) && sent.Start.Before(back) {
				x.Errorf("%s waited for Kafka, which was away", sent.Event.UserID)
			}
		}
		x.k.mu.Unlock()
		<-time.After(2 * time.Minute)
		x.equal("times told, and messages left", []int{1, 1, 1, 0},
			[]int{x.k.count("Diverted"), x.k.count("Resumed"), x.k.count("Emptied"), x.q.len()})
	})
}

// An app without requests notices that Kafka is back, and drains. It reports the length of the outage and the number
// of waiting messages. Without messages and registrations, Kafka counts as back after it has answered checks for half a
// minute. Then the checks end.
func TestQuietAppDrains(t *testing.T) {
	type row struct {
		waiting bool
		told    string
	}
	each(t, map[string]row{"5 wait": {true, "Resumed:31s,5"}, "none waits": {false, "Resumed:1m0s,0"}}, func(x *rig, c row) {
		checks, there := atomic.Int64{}, absent(time.Now().Add(31*s), false)
		x.k.checks = func(ctx context.Context) error { checks.Add(1); return there(ctx) }
		r, _ := x.draining()
		x.trip(r)
		if !c.waiting { // another instance drains them
			x.q.mu.Lock()
			x.q.messages = nil
			x.q.mu.Unlock()
		}
		<-time.After(69 * s)
		asked := checks.Load()
		if x.q.len() != 0 || x.k.count(c.told) != 1 || x.k.count("Resumed") != 1 || asked < 31 || asked > 66 {
			x.Errorf("%d left; asked %d times, told %s", x.q.len(), asked, x.k.calls())
		}
		<-time.After(time.Hour)
		if more := checks.Load() - asked; more > 61 { // the idle drain's
			x.Errorf("Kafka is asked %d times although it is there", more)
		}
	})
}

// A Kafka that answers but stores nothing delays five registrations at a time, and never counts as back.
func TestKafkaAnswersAndStoresNothing(t *testing.T) {
	bubble(t, func(x *rig) {
		x.k.answers = always(0, errUnsent)
		waited := atomic.Int64{}
		begin := time.Now()
		x.callers(x.with(x.q), 600, 100*ms, anybody, func(_ string, start time.Time, _ relay.Outcome) {
			if time.Since(start) > s && start.After(begin.Add(5*s)) {
				waited.Add(1)
			}
		})
		if n := waited.Load(); n > 5*30 || n < 5*20 {
			x.Errorf("%d of 550 waited", n)
		}
		x.equal("times told that Kafka is away, and back", []int{1, 0}, []int{x.k.count("Diverted"), x.k.count("Resumed")})
	})
}

// Attempts that panic while Kafka is believed to be away do not count as in progress for ever.
func TestTrialsThatPanic(t *testing.T) {
	bubble(t, func(x *rig) {
		r := x.with(x.q)
		x.trip(r)
		synctest.Wait() // Kafka has answered a check
		x.k.now(always(0, errPanic))
		for i := range 5 {
			func() {
				defer func() { x.equal("Kafka was asked", true, recover() != nil) }()
				_, _ = r.Deliver(x.Context(), registered(fmt.Sprint("e-", i), anybody(i)))
			}()
		}
		x.k.now(always(0, nil))
		x.deliver(r, event(), relay.InKafka)
	})
}

// A drained record proves that Kafka is available, whatever it answers to checks, unless it comes late.
func TestDrainClosesTheBreaker(t *testing.T) {
	type row struct {
		takes   time.Duration
		resumed int
	}
	each(t, map[string]row{"in time": {1500 * ms, 1}, "late": {2500 * ms, 0}}, func(x *rig, c row) {
		x.k.checks = absent(time.Now().Add(time.Hour), false)
		x.k.answers = always(c.takes, nil)
		r := x.with(x.q)
		drained := make(chan error)
		go func() { drained <- r.Drain(x.Context(), queued().Encode()) }()
		synctest.Wait()
		x.trip(r)
		if err := <-drained; err != nil {
			x.Fatal(err)
		}
		synctest.Wait()
		x.equal("times told that Kafka is back", c.resumed, x.k.count("Resumed"))
	})
}

// Failed drains do not keep registrations from Kafka.
func TestDrainsNeverDivert(t *testing.T) {
	each(t, map[string]answer{
		"late": {10 * s, nil}, "refused": {0, fails(delivery.NotAuthorized)}, "away": {0, errUnsent},
	}, func(x *rig, c answer) {
		x.k.answers = func(r registration.Record) answer {
			if string(r.Key) == "auth0|healthy" {
				return answer{}
			}
			return c
		}
		x.q.fill(200)
		r, _ := x.draining()
		x.host(r)
		x.callers(r, 100, s, func(int) string { return "auth0|healthy" }, func(_ string, start time.Time, out relay.Outcome) {
			if out.Kind != relay.InKafka || time.Since(start) > 0 {
				x.Errorf("%+v after %v", out, time.Since(start))
			}
		})
		x.equal("times that registrations were diverted", 0, x.k.count("Diverted"))
	})
}

// Records that Kafka refuses for their own sake, however many, do not divert registrations.
func TestRefusedRecordsAreNoOutage(t *testing.T) {
	each(t, map[string]delivery.Class{"invalid": delivery.Invalid, "too large": delivery.TooLarge}, func(x *rig, class delivery.Class) {
		x.k.answers = always(0, fails(class))
		r := x.with(x.q)
		for i := range 10 {
			_, _ = r.Deliver(x.Context(), registered(strconv.Itoa(i), anybody(i)))
		}
		x.equal("times that registrations were diverted", 0, x.k.count("Diverted"))
	})
}

// If one of eight partitions is dead, nearly no registration of the others goes to the outbox, at any rate of
// requests, even if a user of the dead partition tries without a pause.
func TestOneDeadPartition(t *testing.T) {
	type row struct {
		every time.Duration
		n     int
		storm bool // one user of the dead partition registers all the time
	}
	each(t, map[string]row{
		"one a second": {s, 1_000, false}, "one in 20 s, and a storm": {20 * s, 40, true},
		"twenty a second, and a storm": {50 * ms, 1_000, true},
	}, func(x *rig, c row) {
		dead := func(user string) bool { return strings.HasPrefix(user, "auth0|3-") } // of partition 3
		x.k.answers = func(r registration.Record) answer {
			if dead(string(r.Key)) {
				return answer{time.Hour, nil}
			}
			return answer{5 * ms, nil}
		}
		x.q.takes = 10 * ms
		r, _ := x.draining()
		if c.storm {
			x.background(1, func(ctx context.Context) {
				for i := 0; ctx.Err() == nil; i++ {
					_, _ = r.Deliver(ctx, registered(fmt.Sprint("s-", i), "auth0|3-storm"))
				}
			})
		}
		random := rand.New(rand.NewPCG(1, 2))
		healthy, diverted := atomic.Int64{}, atomic.Int64{}
		someone := func(i int) string { return fmt.Sprintf("auth0|%d-%d", random.IntN(8), i) }
		x.callers(r, c.n, c.every, someone, func(user string, _ time.Time, out relay.Outcome) {
			if dead(user) {
				return
			}
			healthy.Add(1)
			if out.Kind != relay.InKafka {
				diverted.Add(1)
			}
		})
		if c.every > s && x.k.count("Diverted") == 0 {
			x.Error("the storm did not open the breaker: nothing was shown")
		}
		if 100*diverted.Load() >= healthy.Load() {
			x.Errorf("%d of %d registrations of healthy partitions were diverted", diverted.Load(), healthy.Load())
		}
	})
}

// If Kafka is slower than registrations wait, the outbox drains at the rate at which Kafka answers.
func TestSlowKafkaDrains(t *testing.T) {
	each(t, map[string]func(x *rig, r *relay.Relay){
		"own": func(x *rig, r *relay.Relay) { x.background(1, r.DrainWhile) }, "trigger": (*rig).host,
	}, func(x *rig, drain func(x *rig, r *relay.Relay)) {
		const takes, run = 2900 * ms, time.Minute
		x.k.answers = always(takes, nil)
		x.k.checks = func(ctx context.Context) error {
			until(ctx, time.Now().Add(takes))
			return ctx.Err()
		}
		x.q.fill(2_500)
		r := x.with(x.q)
		drain(x, r)
		x.callers(r, int(run/s), s, anybody, func(string, time.Time, relay.Outcome) {})
		if n, want := x.k.count("Drained"), int(0.9*24*run.Seconds()/takes.Seconds()); n < want {
			x.Errorf("%d drained in %v, want %d", n, run, want)
		}
	})
}
