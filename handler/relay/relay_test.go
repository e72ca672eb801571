package relay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/trace"
)

// The record has the event and a span of its own, the answer has the record's place, and the observer is told all of
// it. A caller that has left changes nothing. A record that is too large is sent again without its profile.
func TestStored(t *testing.T) {
	type row struct {
		answers []answer
		state   string // of the trace
		want    registration.Event
	}
	each(t, map[string]row{
		"at once":             {[]answer{{30 * ms, nil}}, "", withProfile()},
		"with a tracestate":   {[]answer{{30 * ms, nil}}, "a=1", withProfile()},
		"without its profile": {[]answer{{s, fails(delivery.TooLarge)}, {s - 1, nil}}, "a=1", withProfile().WithoutProfile()},
	}, func(x *rig, c row) {
		x.k.answers = script(c.answers...)
		ctx := ended(invocation(x.Context(), c.state))
		out, err := x.with(nil).Deliver(ctx, withProfile())
		if err != nil {
			x.Fatal(err)
		}
		x.equal("outcome", inKafka(), out)
		end := len(c.answers) - 1
		last, takes := x.k.sent[end], c.answers[end].takes
		x.equal("attempt", delivery.SendAttempt{
			Event: c.want, Span: last.Span, Start: time.Now().Add(-takes), Duration: takes, Metadata: stored(1),
		}, last)
		headers := []registration.Header{{Key: "traceparent", Value: last.Span.Traceparent()}}
		if c.state != "" {
			headers = append(headers, registration.Header{Key: "tracestate", Value: c.state})
		}
		x.equal("record", c.want.Record(headers...), x.k.topic[0])
		spans := map[string]bool{spanID: true}
		for _, a := range x.k.sent {
			if spans[a.Span.SpanID] || a.Span.TraceID != traceID {
				x.Errorf("span %+v is no child of its own of the invocation's", a.Span)
			}
			spans[a.Span.SpanID] = true
		}
		x.equal("first attempt", withProfile(), x.k.sent[0].Event)
		for _, r := range x.k.reports {
			x.equal("operation of "+r.call, trace.FromContext(ctx), r.op)
		}
		x.equal("received", withProfile(), x.k.reports[0].event)
		x.equal("forwarded", c.want, x.k.last().event)
		x.equal("its place", stored(1), x.k.last().md)
	})
}

// result is an outcome in one word: the store, or the error's class.
func result(out relay.Outcome, err error) string {
	switch {
	case err != nil && out == relay.Outcome{}:
		return string(delivery.ClassOf(err))
	case err != nil:
	case out == inKafka():
		return "Kafka"
	case out == inOutbox():
		return "outbox"
	}
	return fmt.Sprint(out, err)
}

// The order of attempts, their time limits, and every outcome of a delivery.
func TestWhereItGoes(t *testing.T) {
	type row struct {
		kafka, queue []answer // no queue: there is no outbox
		result       string
		took         time.Duration
		calls        string // after the first attempt
		bare         bool   // the event has no profile
	}
	away, unknown := fails(delivery.Unavailable), fails(delivery.UnknownOutcome)
	tooLarge, invalid := fails(delivery.TooLarge), fails(delivery.Invalid)
	fine, late, soon := []answer{{0, nil}}, []answer{{time.Hour, nil}}, []answer{{2500 * ms, nil}}
	gone, perhaps := []answer{{s, errQueue}}, []answer{{0, unknown}} // the outbox
	cases := map[string]row{
		"Kafka has it":                     {[]answer{{s, nil}}, fine, "Kafka", s, "Forwarded", false},
		"just in time":                     {[]answer{{2*s - 1, nil}}, fine, "Kafka", 2*s - 1, "Forwarded", false},
		"Kafka is away":                    {[]answer{{s, away}}, []answer{{s, nil}}, "outbox", 2 * s, "Put Outboxed:unavailable", false},
		"late":                             {[]answer{{time.Hour, nil}}, fine, "outbox", 2 * s, "Put Outboxed:unknown-outcome", false},
		"no class":                         {[]answer{{0, errors.New("of no class")}}, fine, "outbox", 0, "Put Outboxed:fatal", false},
		"too large even without a profile": {[]answer{{0, tooLarge}}, fine, "outbox", 0, "Produce Sent Put Outboxed:too-large", false},
		"too large, and has none":          {[]answer{{0, tooLarge}}, fine, "outbox", 0, "Put Outboxed:too-large", true},
		"the second attempt is late": {
			[]answer{{1200 * ms, tooLarge}, {1200 * ms, nil}}, fine, "outbox", 2 * s, "Produce Sent Put Outboxed:unknown-outcome", false,
		},
		"late, the outbox fails at once": {[]answer{{3 * s, nil}}, []answer{{0, errQueue}}, "Kafka", 3 * s, "Put Forwarded", false},
		"late, the outbox may have it":   {late, perhaps, "unknown-outcome", 3500 * ms, "Put Refused", false},
		"meanwhile Kafka answers":        {soon, gone, "Kafka", 3 * s, "Put Forwarded", false},
		"meanwhile Kafka refuses":        {[]answer{{2500 * ms, away}}, gone, "unavailable", 3 * s, "Put Refused", false},
		"both are away":                  {[]answer{{2*s - 1, away}}, gone, "unavailable", 3*s - 1, "Put Refused", false},
		"neither answers":                {late, late, "unknown-outcome", 3500 * ms, "Put Refused", false},
		"away, the outbox may have it":   {[]answer{{s, away}}, perhaps, "unknown-outcome", s, "Put Refused", false},
		"invalid":                        {[]answer{{0, invalid}}, fine, "invalid", 0, "Poisoned:invalid Refused", false},
		"no outbox, invalid":             {[]answer{{0, invalid}}, nil, "invalid", 0, "Refused", false},
		"no outbox, late":                {[]answer{{time.Hour, nil}}, nil, "unknown-outcome", 2 * s, "Refused", false},
		"no outbox, the second is refused": {
			[]answer{{0, tooLarge}, {0, away}}, nil, "unavailable", 0, "Produce Sent Refused", false,
		},
	}
	for _, class := range []delivery.Class{delivery.Throttled, delivery.NotAuthorized, delivery.UnknownTopic, delivery.TopicRule} {
		cases[string(class)] = row{[]answer{{0, fails(class)}}, fine, "outbox", 0, "Put Outboxed:" + string(class), false}
	}
	each(t, cases, func(x *rig, c row) {
		x.k.answers = script(c.kafka...)
		var o relay.Outbox
		for _, a := range c.queue {
			x.q.takes, x.q.fault, o = a.takes, failing(a.err), x.q
		}
		e := withProfile()
		if c.bare {
			e = event()
		}
		start := time.Now()
		out, err := x.with(o).Deliver(x.Context(), e)
		if took := time.Since(start); result(out, err) != c.result || took != c.took {
			x.Errorf("%s after %v, want %s after %v", result(out, err), took, c.result, c.took)
		}
		x.equal("calls", "Received Produce Sent "+c.calls, x.k.calls())
		if end := x.k.last(); err != nil && (!errors.Is(end.err, err) || end.event.ID != "e-1") {
			x.Errorf("told of %+v, want %v", end, err)
		}
	})
}

// The message in the outbox has the event and the request's trace.
func TestMessage(t *testing.T) {
	bubble(t, func(x *rig) {
		x.k.answers, x.q.takes = always(0, fails(delivery.Throttled)), s
		start := time.Now()
		if _, err := x.with(x.q).Deliver(invocation(x.Context(), "a=1"), withProfile()); err != nil {
			x.Fatal(err)
		}
		span := x.k.puts[0].Span
		x.equal("message", string(registration.Envelope{
			Event: withProfile(), Traceparent: span.Traceparent(), Tracestate: "a=1", Queued: start, Reason: "throttled",
		}.Encode()), string(x.q.messages[0].body))
		x.equal("attempt", delivery.PutAttempt{Event: withProfile(), Span: span, Start: start, Duration: s}, x.k.puts[0])
		if span.TraceID != traceID || span.SpanID == spanID || span.SpanID == x.k.sent[0].Span.SpanID {
			x.Errorf("span %+v is not a child of its own of the invocation's", span)
		}
	})
}

// A registration that Kafka rejects as invalid leaves at most one copy in five minutes in the poison queue, and none
// in the outbox.
func TestInvalidIsPoisonedOnce(t *testing.T) {
	bubble(t, func(x *rig) {
		x.k.answers = always(0, fails(delivery.Invalid))
		r := x.with(x.q)
		x.q.fault = away(time.Now().Add(s))
		for i, step := range []struct {
			after  time.Duration
			event  registration.Event
			copies int
		}{
			{0, event(), 0}, // the queue is away
			{s, event(), 1},
			{0, event(), 1},
			{0, registered("e-1", "auth0|1"), 1}, // a derived id is one, too
			{0, registered("e-1", "auth0|2"), 2},
			{5*time.Minute + s, event(), 3},
		} {
			<-time.After(step.after)
			_, err := r.Deliver(x.Context(), step.event)
			if copies := len(x.q.reasons()); delivery.ClassOf(err) != delivery.Invalid || copies != step.copies || x.q.len() != 0 {
				x.Errorf("step %d: error %v, %d copies, want %d; %d in the outbox", i, err, copies, step.copies, x.q.len())
			}
		}
	})
}

// Close keeps its time limit although answers are due, and leaves no goroutines. A registration that comes later, cut
// off from its caller, is stored.
func TestClose(t *testing.T) {
	bubble(t, func(x *rig) {
		x.k.answers = always(time.Hour, nil)
		r := x.with(x.q)
		for i := range 4 { // one more would open the breaker
			x.deliver(r, registered(anybody(i), "auth0|1"), relay.InOutbox)
		}
		start := time.Now()
		limit, cancel := context.WithTimeout(x.Context(), 200*ms)
		defer cancel()
		r.Close(limit)
		if took := time.Since(start); took != 200*ms {
			x.Errorf("took %v", took)
		}
		x.deliver(r, event(), relay.InOutbox)
		if all, visible := x.q.size(); all != 5 || visible != 0 {
			x.Errorf("%d messages, %d can be seen", all, visible)
		}
	})
}

// Every row of docs/guarantees.md that allows a copy, except for the last two, which concern Kafka and its producer, makes
// exactly one.
func TestCopies(t *testing.T) {
	each(t, map[string]func(x *rig){
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
			<-time.After(2 * time.Minute) // Kafka has it, and the copy is visible
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
			x.q.breaks(putUnknown)
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
			x.q.breaks(away(time.Now().Add(3*time.Minute), "Delete"))
			_, stop := x.draining()
			<-time.After(s)
			stop()
			<-time.After(4 * time.Minute)
			x.draining() // another instance: the same one would recognise the message
		},
	}, func(x *rig, happens func(x *rig)) {
		happens(x)
		<-time.After(s)
		if x.k.n() != 2 || x.q.len() != 0 {
			x.Errorf("%d records, %d messages left", x.k.n(), x.q.len())
		}
	})
}
