package relay_test

import (
	"bytes"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/test/quiet"
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
		x.equal("records sent", 1, x.k.count("Produce"))
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
		deliver := func(i int) (replayed bool) {
			return x.deliver(r, chosen("acme", strconv.Itoa(i), "auth0|1"), relay.InKafka).Replayed
		}
		for i := range most + 2 {
			deliver(i)
		}
		for _, i := range []int{2, most, most + 1, 0, 1} {
			if known := i > 1; deliver(i) != known {
				x.Errorf("%d is known: %t, want %t", i, !known, known)
			}
		}
	})
}

// A message whose record may be in Kafka is hidden until that is known. Then it is deleted, or made visible, however
// long the queue fails, unless somebody has received it. Close waits for that.
func TestLateAnswer(t *testing.T) {
	type row struct {
		kafka                    answer
		fails                    time.Duration // the queue, from the late answer on
		trouble                  string        // then: an answer is lost, or somebody has received the message
		left, visible, withdrawn int
	}
	no, unknown := fails(delivery.Unavailable), fails(delivery.UnknownOutcome)
	each(t, map[string]row{
		"stored":                             {answer{12 * s, nil}, 0, "", 0, 0, 1},
		"stored, the queue fails once":       {answer{3 * s, nil}, ms, "", 0, 0, 1},
		"stored, the queue fails for 80 s":   {answer{3 * s, nil}, 80 * s, "", 0, 0, 1},
		"stored, its answer is lost":         {answer{3 * s, nil}, 0, "lost", 0, 0, 1},
		"stored, the queue fails for good":   {answer{3 * s, nil}, time.Hour, "", 1, 1, 0},
		"certainly not":                      {answer{12 * s, no}, 0, "", 1, 1, 0},
		"certainly not, it fails for 20 s":   {answer{3 * s, no}, 20 * s, "", 1, 1, 0},
		"nobody knows":                       {answer{3 * s, unknown}, 0, "", 1, 0, 0},
		"never answered":                     {answer{forever, nil}, 0, "", 1, 1, 0},
		"not sent at all":                    {answer{0, no}, 0, "", 1, 1, 0},
		"unknown, and there is nothing late": {answer{0, unknown}, 0, "", 1, 1, 0},
		"stored, and drained, too":           {answer{12 * s, nil}, 0, "seen", 1, 0, 0},
	}, func(x *rig, c row) {
		x.k.answers = script(c.kafka)
		start, r := time.Now(), x.with(x.q)
		fault, lost := away(start.Add(c.kafka.takes+c.fails), "Delete", "Show"), sync.Once{}
		x.q.fault = func(op string, work func() error) error {
			if c.trouble == "seen" && op == "Delete" {
				return delivery.ErrSeen
			}
			err := fault(op, work)
			if c.trouble == "lost" && op == "Delete" {
				lost.Do(func() { err = errQueue })
			}
			return err
		}
		x.deliver(r, withProfile(), relay.InOutbox)
		r.Close(x.Context())
		if all, visible := x.q.size(); all != c.left || visible != c.visible || x.k.count("Withdrawn") != c.withdrawn {
			x.Errorf("told %s; %d left, %d can be seen", x.k.calls(), all, visible)
		}
		if took := time.Since(start); c.kafka.takes == forever && took != 92*s {
			x.Errorf("it was hidden until %v", took)
		}
	})
}

// The queue stores a message and its answer is lost. Then Kafka stores the record: its answer is late, or the breaker
// was open, and Kafka is the last resort. The message is found and deleted. If the caller got no answer in time, its
// repeat waits for Kafka's.
func TestDoubtfulPutIsFound(t *testing.T) {
	type row struct {
		open  bool // the breaker
		takes time.Duration
		late  bool // for the caller, too
	}
	each(t, map[string]row{
		"Kafka's answer is late": {false, 2500 * ms, false}, "Kafka is the last resort": {true, ms, false},
		"the last resort is late": {true, 4 * s, true},
	}, func(x *rig, c row) {
		x.k.checks = absent(time.Now().Add(500*ms), false) // a drain receives the message while Kafka is asked
		r, _ := x.draining()
		if c.open {
			x.trip(r)
		}
		x.k.now(always(c.takes, nil))
		x.q.breaks(putUnknown)
		out, err := r.Deliver(x.Context(), event())
		if c.late {
			if delivery.ClassOf(err) != delivery.UnknownOutcome {
				x.Errorf("the first has %v", err)
			}
			<-time.After(s)
			out, err = r.Deliver(x.Context(), event())
		}
		if err != nil || out.Kind != relay.InKafka || out.Replayed != c.late {
			x.Errorf("%+v, %v", out, err)
		}
		<-time.After(5 * time.Minute)
		x.equal("messages left, records", []int{0, 1}, []int{x.q.len(), x.k.perUser(&x.k.topic)["auth0|1"]})
	})
}

// The queue stores a message, which is drained before the put times out: Kafka has the record, and gets it only once.
func TestDoubtfulPutIsDrained(t *testing.T) {
	bubble(t, func(x *rig) {
		r, _ := x.draining()
		x.k.now(script(answer{0, fails(delivery.Unavailable)}, answer{ms, nil}))
		x.q.breaks(func(op string, work func() error) error {
			err := putUnknown(op, work)
			if op == "Put" {
				<-time.After(1400 * ms)
			}
			return err
		})
		<-time.After(59 * s) // a second before the next look
		out := x.deliver(r, event(), relay.InKafka)
		x.equal("place", stored(1), out.Kafka)
		x.equal("records, drained", []int{1, 1}, []int{x.k.n(), x.k.count("Drained")})
	})
}

// A registration that waits for Kafka's late answer keeps no profile in memory.
func TestLateProfilesAreFreed(t *testing.T) {
	each(t, map[string]fault{"in the outbox": nil, "refused": failing(errQueue)}, func(x *rig, f fault) {
		x.k.answers, x.q.fault = always(forever, nil), f
		r := x.start(relay.Config{Producer: x.k, Outbox: x.q, Observer: quiet.Observer{}, Profile: true})
		deliver := func(e registration.Event) (profile weak.Pointer[byte]) {
			e.Profile = bytes.Repeat([]byte("x"), 1<<10)
			_, _ = r.Deliver(x.Context(), e)
			return weak.Make(&e.Profile[0])
		}
		for _, e := range []registration.Event{registered("e-1", "auth0|1"), event()} {
			profile := deliver(e)
			if runtime.GC(); profile.Value() != nil {
				x.Errorf("the profile is in memory still, of the id that was chosen: %t", e.Chosen)
			}
		}
	})
}
