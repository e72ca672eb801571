package relay_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// stream is a CloudEvent of Auth0, whose record has another source and id.
func stream(source, id string) registration.Event {
	e := chosen("acme", "a0pur_1", "auth0|1")
	e.Auth0Source, e.Auth0ID = source, id
	return e
}

// A repeat has the source and the id of the first request. For a CloudEvent its own count, not those of its record.
func TestRepeats(t *testing.T) {
	type row struct {
		first, second registration.Event
		after         time.Duration
		records       int
		replay        bool
		err           error
	}
	first := chosen("acme", "e-1", "auth0|1")
	each(t, map[string]row{
		"at the same time":                {first, first, 0, 1, true, nil},
		"later":                           {first, first, time.Minute, 1, true, nil},
		"just before 5 minutes":           {first, first, 5 * time.Minute, 1, true, nil},
		"after that":                      {first, first, 5*time.Minute + s, 2, false, nil},
		"another id":                      {first, chosen("acme", "e-2", "auth0|1"), time.Minute, 2, false, nil},
		"another source":                  {first, chosen("other", "e-1", "auth0|1"), time.Minute, 2, false, nil},
		"meanwhile, another source":       {first, chosen("other", "e-1", "auth0|1"), 0, 2, false, nil},
		"of another source, another user": {first, chosen("other", "e-1", "auth0|2"), time.Minute, 2, false, nil},
		"another user":                    {first, chosen("acme", "e-1", "auth0|2"), time.Minute, 1, false, relay.ErrIDTaken},
		"meanwhile another user":          {first, chosen("acme", "e-1", "auth0|2"), 0, 1, false, relay.ErrIDTaken},
		"a derived id":                    {first, registered("e-1", "auth0|1"), time.Minute, 2, false, nil},
		"a CloudEvent":                    {stream("urn:a", "evt_1"), stream("urn:a", "evt_1"), time.Minute, 1, true, nil},
		"another CloudEvent":              {stream("urn:a", "evt_1"), stream("urn:a", "evt_2"), time.Minute, 2, false, nil},
		"another stream":                  {stream("urn:a", "evt_1"), stream("urn:b", "evt_1"), time.Minute, 2, false, nil},
		"a CloudEvent, an Action":         {stream("urn:a", "evt_1"), chosen("acme", "a0pur_1", "auth0|1"), time.Minute, 2, false, nil},
	}, func(x *rig, c row) {
		x.k.answers = always(s, nil)
		r := x.with(x.q)
		var before relay.Outcome
		var wait sync.WaitGroup
		wait.Go(func() { before = x.deliver(r, c.first, relay.InKafka) })
		synctest.Wait()
		<-time.After(c.after)
		out, err := r.Deliver(x.Context(), c.second)
		wait.Wait()
		if !errors.Is(err, c.err) || out.Replayed != c.replay || x.k.n() != c.records || before.Replayed {
			x.Errorf("%+v, then %+v, error %v, %d records", before, out, err, x.k.n())
		}
		if c.replay && (out.Kafka != before.Kafka || out.EventID != before.EventID) {
			x.Errorf("the repeat has %+v, the first one %+v", out, before)
		}
		if (x.k.count("Refused") > 0) != (c.err != nil) {
			x.Errorf("calls: %s", x.k.calls())
		}
	})
}

// The repeat of a registration with an unknown outcome waits for the late answer, and writes nothing.
func TestRepeatOfUnknown(t *testing.T) {
	type row struct {
		takes   time.Duration // Kafka, for the first
		after   time.Duration // the repeat, after the first one's answer
		queue   error
		class   delivery.Class
		records int // sent
	}
	each(t, map[string]row{
		"known meanwhile":        {4 * s, 3 * s, errQueue, "", 1},
		"known while it waits":   {5 * s, 500 * ms, errQueue, "", 1},
		"not known in its time":  {20 * s, 500 * ms, errQueue, delivery.UnknownOutcome, 1},
		"nobody will know":       {time.Hour, 70 * s, errQueue, delivery.UnknownOutcome, 2},
		"without an outbox":      {4 * s, s, nil, "", 1},
		"the outbox may have it": {4 * s, s, fails(delivery.UnknownOutcome), "", 1},
	}, func(x *rig, c row) {
		x.k.answers = always(c.takes, nil)
		var o relay.Outbox
		if c.queue != nil {
			x.q.fault, o = failing(c.queue), x.q
		}
		r := x.with(o)
		if _, err := r.Deliver(x.Context(), event()); delivery.ClassOf(err) != delivery.UnknownOutcome {
			x.Fatalf("the first has %v", err)
		}
		<-time.After(c.after)
		start := time.Now()
		out, err := r.Deliver(x.Context(), event())
		took := time.Since(start)
		synctest.Wait()
		replayed := inKafka()
		replayed.Replayed = true
		if delivery.ClassOf(err) != c.class || err == nil && (out != replayed || x.k.count("Forwarded") != 1) || x.k.n() != c.records {
			x.Errorf("%+v, %v, %d records, told %s", out, err, x.k.n(), x.k.calls())
		}
		if took > 4*s || err == nil && took > 2*s {
			x.Errorf("took %v", took)
		}
	})
}

// Callers repeat at the same time, and leave. They get the answer of the first, which is stored once. A failure is
// forgotten later; a panic leaves nobody waiting.
func TestRepeatOf(t *testing.T) {
	type row struct {
		kafka, queue error
		class        delivery.Class // of a repeat meanwhile
		later        relay.Outcome
	}
	replayed := inOutbox()
	replayed.Replayed = true
	each(t, map[string]row{
		"a failure":   {fails(delivery.Unavailable), errQueue, delivery.Unavailable, inKafka()},
		"an outboxed": {fails(delivery.Unavailable), nil, "", replayed},
		"a panic":     {errPanic, nil, delivery.UnknownOutcome, inKafka()},
	}, func(x *rig, c row) {
		x.k.answers, x.q.fault = script(answer{s, c.kafka}, answer{0, nil}), failing(c.queue)
		r := x.with(x.q)
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				defer func() { _ = recover() }() // of the first
				if _, err := r.Deliver(ended(x.Context()), event()); delivery.ClassOf(err) != c.class {
					x.Errorf("meanwhile: %v", err)
				}
			})
		}
		callers.Wait()
		if n := x.k.count("Produce"); n != 1 {
			x.Errorf("%d records were sent", n)
		}
		out, err := r.Deliver(x.Context(), event())
		if err != nil || out != c.later {
			x.Errorf("afterwards: %+v, %v", out, err)
		}
	})
}

// The newest 8192 ids are remembered.
func TestRepeatsAreBounded(t *testing.T) {
	bubble(t, func(x *rig) {
		const most = 8192
		r := x.with(x.q)
		deliver := func(i int) bool {
			return x.deliver(r, chosen("acme", strconv.Itoa(i), "auth0|1"), relay.InKafka).Replayed
		}
		for i := range most + 2 {
			deliver(i)
		}
		for _, i := range []int{2, most, most + 1} {
			if !deliver(i) {
				x.Errorf("%d is forgotten", i)
			}
		}
		for _, i := range []int{0, 1} {
			if deliver(i) {
				x.Errorf("%d is still known", i)
			}
		}
	})
}
