package relay_test

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// A message whose record may be in Kafka is hidden until that is known. Then it is deleted, or made visible, however
// long the queue fails, unless somebody has received it. Close waits for that.
func TestLateAnswer(t *testing.T) {
	type row struct {
		kafka                    answer
		fails                    time.Duration // the queue, from the late answer on
		trouble                  string        // then: an answer is lost, or somebody has received the message
		left, visible, withdrawn int
	}
	away, unknown := fails(delivery.Unavailable), fails(delivery.UnknownOutcome)
	each(t, map[string]row{
		"stored":                             {answer{12 * s, nil}, 0, "", 0, 0, 1},
		"stored, the queue fails once":       {answer{3 * s, nil}, ms, "", 0, 0, 1},
		"stored, the queue fails for 80 s":   {answer{3 * s, nil}, 80 * s, "", 0, 0, 1},
		"stored, its answer is lost":         {answer{3 * s, nil}, 0, "lost", 0, 0, 1},
		"stored, the queue fails for good":   {answer{3 * s, nil}, time.Hour, "", 1, 1, 0},
		"certainly not":                      {answer{12 * s, away}, 0, "", 1, 1, 0},
		"certainly not, it fails for 20 s":   {answer{3 * s, away}, 20 * s, "", 1, 1, 0},
		"nobody knows":                       {answer{3 * s, unknown}, 0, "", 1, 0, 0},
		"never answered":                     {answer{forever, nil}, 0, "", 1, 1, 0},
		"not sent at all":                    {answer{0, away}, 0, "", 1, 1, 0},
		"unknown, and there is nothing late": {answer{0, unknown}, 0, "", 1, 1, 0},
		"stored, and drained, too":           {answer{12 * s, nil}, 0, "seen", 1, 0, 0},
	}, func(x *rig, c row) {
		x.k.answers = script(c.kafka)
		start, r := time.Now(), x.with(x.q)
		back := start.Add(c.kafka.takes + c.fails)
		x.q.away(back, "Delete", "Show")
		lost := sync.Once{}
		x.q.after = func(op string) (err error) {
			if c.trouble == "lost" && op == "Delete" {
				lost.Do(func() { err = errQueue })
			}
			return err
		}
		if c.trouble == "seen" {
			x.q.fault = func(op string) error { return map[string]error{"Delete": delivery.ErrSeen}[op] }
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

// A message that could not be deleted is deleted when this process receives it, however often. It makes no copy, and is
// reported once.
func TestSeenAfterAll(t *testing.T) {
	single(t, func(x *rig) {
		x.k.answers = always(3*s, nil) // later than a registration waits
		x.q.away(time.Now().Add(10*time.Minute), "Delete")
		r, _ := x.draining()
		x.deliver(r, event(), relay.InOutbox)
		<-time.After(20 * time.Minute)
		if x.q.len() != 0 || x.k.n() != 1 || x.k.count("Withdrawn") != 1 {
			x.Errorf("%d left, %d records, told %s", x.q.len(), x.k.n(), x.k.calls())
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
		x.q.losing(putUnknown)
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
		if n := x.k.perUser(&x.k.topic)["auth0|1"]; x.q.len() != 0 || n != 1 {
			x.Errorf("%d left, %d records", x.q.len(), n)
		}
	})
}

// The queue stores a message, which is drained before the put times out: Kafka has the record, and gets it only once.
func TestDoubtfulPutIsDrained(t *testing.T) {
	single(t, func(x *rig) {
		r, _ := x.draining()
		x.k.now(script(answer{0, fails(delivery.Unavailable)}, answer{ms, nil}))
		x.q.losing(func(op string) error {
			if op == "Put" {
				<-time.After(1400 * ms)
			}
			return putUnknown(op)
		})
		<-time.After(59 * s) // a second before the next look
		out := x.deliver(r, event(), relay.InKafka)
		if out.Kafka != stored(1) || x.k.n() != 1 || x.k.count("Drained") != 1 {
			x.Errorf("%+v, %d records, told %s", out, x.k.n(), x.k.calls())
		}
	})
}

// Registrations that wait for Kafka's late answer keep no profile in memory.
func TestHiddenMessagesAreSmall(t *testing.T) { //nolint:paralleltest // it looks at the heap, which is everybody's
	const n, size = 64, 1 << 20
	bubble(t, func(x *rig) {
		records := 0
		x.k.answers = func(registration.Record) answer {
			if records++; records%4 == 0 { // or the breaker would open
				return answer{}
			}
			return answer{forever, nil}
		}
		r := x.with(x.q)
		before := heap()
		for i := range n {
			e := registered(anybody(i), "auth0|1")
			e.Profile = bytes.Repeat([]byte("x"), size)
			if _, err := r.Deliver(x.Context(), e); err != nil {
				x.Error(err)
			}
			x.k.forget()
		}
		if held := heap() - before; held > n*size/8 {
			x.Errorf("%d bytes are held for %d hidden messages", held, n)
		}
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
