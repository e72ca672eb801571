package relay_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

func TestDrain(t *testing.T) {
	type row struct {
		message []byte   // nil: a sound one
		kafka   []answer // none: it is not asked
		poison  error
		class   delivery.Class // of the error
		took    time.Duration
		told    string
		reason  string // in the poison queue
	}
	const unread = "It cannot be read: body: must be a CloudEvent in JSON, as this program writes it into its outbox"
	away, rule, invalid := fails(delivery.Unavailable), fails(delivery.TopicRule), fails(delivery.Invalid)
	large := answer{0, fails(delivery.TooLarge)}
	later := []byte(`{"userrelayversion":2}`)
	each(t, map[string]row{
		"stored":                            {nil, []answer{{s, nil}}, nil, "", s, "Drained:1s", ""},
		"Kafka takes its time":              {nil, []answer{{59 * s, nil}}, nil, "", 59 * s, "Drained:59s", ""},
		"its answer is late":                {nil, []answer{{100 * s, nil}}, nil, "", 100 * s, "Drained:1m40s", ""},
		"its late answer is no":             {nil, []answer{{100 * s, away}}, nil, "unavailable", 100 * s, "NotDrained:unavailable", ""},
		"it never answers":                  {nil, []answer{{forever, nil}}, nil, "unknown-outcome", 150 * s, "NotDrained:unknown-outcome", ""},
		"Kafka is away":                     {nil, []answer{{s, away}}, nil, "unavailable", s, "NotDrained:unavailable", ""},
		"a rule of the topic":               {nil, []answer{{0, rule}}, nil, "topic-rule", 0, "NotDrained:topic-rule", ""},
		"too large with its profile":        {nil, []answer{large, {0, nil}}, nil, "", 0, "Drained:0s", ""},
		"too large without it":              {nil, []answer{large, large}, nil, "too-large", 0, "NotDrained:too-large", ""},
		"invalid":                           {nil, []answer{{0, invalid}}, nil, "", 0, "Poisoned:invalid", "Kafka rejects the record as invalid."},
		"invalid, the poison queue is away": {nil, []answer{{0, invalid}}, errQueue, "unavailable", 0, "NotDrained:unavailable", ""},
		"no message":                        {[]byte("hello"), nil, nil, "", 0, "Poisoned:invalid", unread},
		"no message, the queue is away":     {[]byte{}, nil, errQueue, "unavailable", 0, "NotDrained:unavailable", ""},
		"of a later version":                {later, nil, nil, "fatal", 0, "NotDrained:fatal", ""},
	}, func(x *rig, c row) {
		x.k.answers, x.q.fault = script(c.kafka...), failing(c.poison)
		if c.message == nil {
			c.message = queued().Encode()
		}
		start := time.Now()
		err := x.with(x.q).Drain(x.Context(), c.message)
		if took := time.Since(start); delivery.ClassOf(err) != c.class || took != c.took {
			x.Errorf("error %v of class %q after %v, want %q after %v", err, delivery.ClassOf(err), took, c.class, c.took)
		}
		x.equal("calls", strings.Repeat("Produce Sent ", len(c.kafka))+c.told, x.k.calls())
		x.equal("reason", c.reason, strings.Join(x.q.reasons(), "\n"))
		if x.q.len() > 0 {
			x.Error("it went back into the outbox")
		}
	})
}

// A drained record has the event's content, and belongs to the trace of the original request. RECORD_PROFILE applies
// when the record is written, not when the message was.
func TestDrainWithoutProfile(t *testing.T) {
	each(t, map[string]bool{"id": false, "full": true}, func(x *rig, profile bool) {
		x.k.answers = script(answer{0, nil}, answer{0, nil}, answer{0, fails(delivery.Invalid)})
		r := x.start(relay.Config{Producer: x.k, Outbox: x.q, Observer: x.k, Profile: profile})
		m, want := queued(), withProfile()
		for _, e := range []registration.Event{m.Event, m.Event.WithoutProfile(), m.Event} {
			m.Event, m.Queued = e, m.Queued.Add(time.Minute)
			if err := r.Drain(invocation(x.Context(), ""), m.Encode()); err != nil {
				x.Fatal(err)
			}
		}
		if !profile {
			want = want.IDOnly()
		}
		traced := registration.Header{Key: "traceparent", Value: x.k.sent[0].Span.Traceparent()}
		x.equal("record", want.Record(traced, registration.Header{Key: "tracestate", Value: "a=1"}), x.k.topic[0])
		if op := x.k.reports[0].op; op.TraceID != traceID || op.SpanID != spanID || op.InvocationID != "inv" {
			x.Errorf("told within %+v", op)
		}
		if text := x.q.poison[0].message; bytes.Contains(text, []byte("jane@example.com")) != profile {
			x.Errorf("in the poison queue: %s", text)
		}
		omitted := registration.Header{Key: "ce_profileomitted", Value: "true"}
		if said := slices.Contains(x.k.topic[1].Headers, omitted); said != profile {
			x.Errorf("headers %v", x.k.topic[1].Headers)
		}
	})
}

// While Kafka is unavailable an invocation waits, and goes on as soon as Kafka is back.
func TestDrainWaitsForKafka(t *testing.T) {
	type row struct {
		back time.Duration // after Drain began
		took time.Duration // at most
		ok   bool
	}
	each(t, map[string]row{"it comes back": {20 * s, 21 * s, true}, "it does not": {time.Hour, time.Minute, false}}, func(x *rig, c row) {
		x.k.checks = absent(time.Now().Add(c.back), false)
		r := x.with(x.q)
		x.trip(r)
		<-time.After(ms) // the first check has failed
		start, done := time.Now(), make(chan error)
		for range 2 {
			go func() { done <- r.Drain(x.Context(), queued().Encode()) }()
		}
		for range 2 {
			err := <-done
			if took := time.Since(start); (err == nil) != c.ok || took > c.took {
				x.Errorf("error %v after %v", err, took)
			}
		}
	})
}

// At shutdown a drain waits three seconds for Kafka's answer, so that a message whose record may be stored is not
// returned to the queue before that is known.
func TestDrainEndsWithItsContext(t *testing.T) {
	type row struct{ takes, took time.Duration }
	each(t, map[string]row{"known in time": {3 * s, 3 * s}, "not known": {time.Hour, 4 * s}}, func(x *rig, c row) {
		x.k.answers = always(c.takes, nil)
		ctx, cancel := context.WithTimeout(x.Context(), s)
		defer cancel()
		start := time.Now()
		err := x.with(x.q).Drain(ctx, queued().Encode())
		if took := time.Since(start); (err == nil) != (c.takes == c.took) || took != c.took {
			x.Errorf("error %v after %v", err, took)
		}
	})
}

// Without an outbox there is no poison queue: a message that cannot be drained stays where it is.
func TestDrainWithoutOutbox(t *testing.T) {
	bubble(t, func(x *rig) {
		r := x.with(nil)
		if err := r.Drain(x.Context(), []byte("hello")); err == nil {
			x.Error("it is drained")
		}
		if err := r.Drain(x.Context(), queued().Encode()); err != nil {
			x.Error(err)
		}
	})
}
