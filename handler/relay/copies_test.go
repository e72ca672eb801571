package relay_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/test/must"
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
		if n := x.k.perUser(&x.k.topic)["auth0|1"]; x.q.len() != 0 || n != 1 {
			x.Errorf("%d left, %d records", x.q.len(), n)
		}
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
		if out.Kafka != stored(1) || x.k.n() != 1 || x.k.count("Drained") != 1 {
			x.Errorf("%+v, %d records, told %s", out, x.k.n(), x.k.calls())
		}
	})
}

// A registration that waits for Kafka's late answer keeps no profile in memory.
func TestLateProfilesAreFreed(t *testing.T) {
	each(t, map[string]fault{"in the outbox": nil, "refused": failing(errQueue)}, func(x *rig, f fault) {
		x.k.answers, x.q.fault = always(forever, nil), f
		r := x.with(x.q)
		deliver := func(e registration.Event) (profile weak.Pointer[byte]) {
			e.Profile = bytes.Repeat([]byte("x"), 1<<10)
			_, _ = r.Deliver(x.Context(), e)
			return weak.Make(&e.Profile[0])
		}
		for _, e := range []registration.Event{registered("e-1", "auth0|1"), event()} {
			profile := deliver(e)
			x.k.forget()
			if runtime.GC(); profile.Value() != nil {
				x.Errorf("the profile is in memory still, of the id that was chosen: %t", e.Chosen)
			}
		}
	})
}

// Every row of the page that allows a copy makes exactly one here. The last two rows concern Kafka and its producer.
func TestCopies(t *testing.T) {
	rows := map[string]func(x *rig){
		"sent-again": func(x *rig) {
			for range 2 { // an id of the caller's choice, at two instances
				x.deliver(x.with(x.q), event(), relay.InKafka)
			}
		},
		"killed-late": func(x *rig) {
			x.k.answers = script(answer{3 * s, nil}, answer{0, nil})
			r := x.with(x.q)
			x.deliver(r, event(), relay.InOutbox)
			r.Close(ended(x.Context()))
			<-time.After(2 * time.Minute) // Kafka has it, and the copy is seen
			x.draining()
		},
		"silent": func(x *rig) {
			x.k.answers = script(answer{time.Hour, nil}, answer{0, nil})
			r, _ := x.draining()
			x.deliver(r, event(), relay.InOutbox)
			<-time.After(3 * time.Minute)
		},
		"drain-died": func(x *rig) {
			x.q.add(queued().Encode(), 0)
			got, err := x.q.Receive(x.Context(), 1, time.Minute)
			if err != nil || x.with(x.q).Drain(x.Context(), got[0].Message) != nil {
				x.Fatal(err)
			}
			<-time.After(time.Minute) // nobody deletes it
			x.draining()
		},
		"put-unknown": func(x *rig) {
			x.k.answers = script(answer{0, fails(delivery.Unavailable)}, answer{0, nil})
			x.q.fault = putUnknown
			r := x.with(x.q)
			if _, err := r.Deliver(x.Context(), event()); delivery.ClassOf(err) != delivery.UnknownOutcome {
				x.Fatal(err)
			}
			x.q.breaks(nil)
			if out := x.deliver(r, event(), relay.InKafka); out.Replayed {
				x.Errorf("%+v", out)
			}
			x.draining()
		},
		"not-deleted": func(x *rig) {
			x.q.add(queued().Encode(), 0)
			x.q.fault = away(time.Now().Add(3*time.Minute), "Delete")
			_, stop := x.draining()
			<-time.After(s)
			stop()
			<-time.After(4 * time.Minute)
			x.draining() // another instance: the same one would know the message
		},
	}
	each(t, rows, func(x *rig, happens func(x *rig)) {
		happens(x)
		<-time.After(s)
		if x.k.n() != 2 || x.q.len() != 0 {
			x.Errorf("%d records, %d messages left", x.k.n(), x.q.len())
		}
	})
	for line := range strings.Lines(read(t, "docs/guarantees.md")) {
		name, ok := strings.CutPrefix(line, "| `")
		if name, _, _ = strings.Cut(name, "`"); ok && rows[name] == nil && name != "other-log" && name != "forgotten" {
			t.Errorf("the page has the row %s, and no test shows it", name)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	return string(must.Get[[]byte](t)(os.ReadFile(filepath.Join("..", "..", file))))
}

// The tests that the pages about guarantees name exist.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	names := regexp.MustCompile("`((?:handler|test)/[a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`")
	for _, page := range []string{"docs/guarantees.md", "docs/reliability.md"} {
		named := names.FindAllStringSubmatch(read(t, page), -1)
		if len(named) == 0 {
			t.Errorf("%s names no test", page)
		}
		for _, m := range named {
			files := must.Get[[]string](t)(filepath.Glob(filepath.Join("..", "..", m[1], "*_test.go")))
			if !slices.ContainsFunc(files, func(f string) bool { return strings.Contains(read(t, f[len("../../"):]), "\nfunc "+m[2]+"(") }) {
				t.Errorf("%s has no %s", m[1], m[2])
			}
		}
	}
}
