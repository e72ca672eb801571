package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// counting returns a produce that takes a second and stores every record at a new offset.
func counting() func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
	var mu sync.Mutex
	n := int64(0)
	return func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
		<-time.After(time.Second)
		mu.Lock()
		defer mu.Unlock()
		n++
		return delivery.RecordMetadata{Topic: "user-events", Offset: n}, nil
	}
}

func chosen(id, userID string) registration.Event {
	return registration.Event{ID: id, Chosen: true, UserID: userID}
}

// of is an event of another source.
func of(source string, e registration.Event) registration.Event {
	e.Source = source
	return e
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event   registration.Event
		after   time.Duration
		records int
		replay  bool
		err     error
	}{
		"at the same time":                {chosen("e-1", "auth0|1"), 0, 1, true, nil},
		"later":                           {chosen("e-1", "auth0|1"), time.Minute, 1, true, nil},
		"just before 5 minutes":           {chosen("e-1", "auth0|1"), 5 * time.Minute, 1, true, nil},
		"after that":                      {chosen("e-1", "auth0|1"), 5*time.Minute + time.Second, 2, false, nil},
		"another id":                      {chosen("e-2", "auth0|1"), time.Minute, 2, false, nil},
		"another source":                  {of("urn:auth0:other", chosen("e-1", "auth0|1")), time.Minute, 2, false, nil},
		"meanwhile, another":              {of("urn:auth0:other", chosen("e-1", "auth0|1")), 0, 2, false, nil},
		"of another source, another user": {of("urn:auth0:other", chosen("e-1", "auth0|2")), time.Minute, 2, false, nil},
		"another user":                    {chosen("e-1", "auth0|2"), time.Minute, 1, false, relay.ErrIDTaken},
		"meanwhile another":               {chosen("e-1", "auth0|2"), 0, 1, false, relay.ErrIDTaken},
		"a derived id":                    {registration.Event{ID: "e-1", UserID: "auth0|1"}, time.Minute, 2, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &journal{produce: counting()}
				r := j.with(t, &store{})
				var firstOut relay.Outcome
				var wait sync.WaitGroup
				wait.Go(func() { firstOut, _ = r.Deliver(t.Context(), chosen("e-1", "auth0|1")) })
				synctest.Wait()
				<-time.After(c.after)
				out, err := r.Deliver(t.Context(), c.event)
				wait.Wait()
				if !errors.Is(err, c.err) || out.Replayed != c.replay || len(j.records) != c.records {
					t.Errorf("outcome %+v, error %v, %d records", out, err, len(j.records))
				}
				if firstOut.Replayed || firstOut.Kafka.Offset == 0 {
					t.Errorf("the first one has %+v", firstOut)
				}
				if c.replay && (out.Kafka != firstOut.Kafka || out.EventID != "e-1") {
					t.Errorf("the repeat has %+v, the first one %+v", out, firstOut)
				}
				if told := slices.Contains(j.calls, "Refused"); told != (c.err != nil) {
					t.Errorf("calls: %v", j.calls)
				}
			})
		})
	}
}

// A CloudEvent is identified by its own source and id, even if its record has others.
func TestRepeatsOfAStream(t *testing.T) {
	t.Parallel()
	stream := func(source, id string) registration.Event {
		return registration.Event{ID: "a0pur_1", Chosen: true, UserID: "auth0|1", Source: "urn:auth0:acme", Auth0Source: source, Auth0ID: id}
	}
	for name, c := range map[string]struct {
		second registration.Event
		replay bool
	}{
		"the same":       {stream("urn:a", "evt_1"), true},
		"another id":     {stream("urn:a", "evt_2"), false},
		"another source": {stream("urn:b", "evt_1"), false},
		"of an Action":   {registration.Event{ID: "a0pur_1", Chosen: true, UserID: "auth0|1", Source: "urn:auth0:acme"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &journal{produce: waits(0, nil, nil)}
			r := j.with(t, &store{})
			for i, e := range []registration.Event{stream("urn:a", "evt_1"), c.second} {
				out, err := r.Deliver(t.Context(), e)
				if err != nil || out.Replayed != (i == 1 && c.replay) || out.EventID != "a0pur_1" {
					t.Errorf("%d: %+v, %v", i, out, err)
				}
			}
		})
	}
}

// A failure is not remembered, but waiting repeats get it.
func TestRepeatOfFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{produce: waits(time.Second, fails(delivery.Unavailable), nil)}
		r := j.with(t, &store{fails: errQueue})
		var waiters sync.WaitGroup
		for range 10 {
			waiters.Go(func() {
				if _, err := r.Deliver(t.Context(), event()); delivery.ClassOf(err) != delivery.Unavailable {
					t.Errorf("meanwhile: %v", err)
				}
			})
		}
		waiters.Wait()
		out, err := r.Deliver(t.Context(), event())
		if err != nil || out.Replayed || out.Kafka != stored() {
			t.Errorf("afterwards: %+v, %v", out, err)
		}
	})
}

// The repeat of a registration in the outbox gets the same answer.
func TestRepeatOfOutboxed(t *testing.T) {
	t.Parallel()
	j := &journal{produce: waits(0, fails(delivery.Unavailable))}
	r := j.with(t, &store{})
	for i := range 3 {
		out, err := r.Deliver(t.Context(), event())
		if want := (relay.Outcome{Kind: relay.InOutbox, EventID: "e-1", Outbox: kept(1), Replayed: i > 0}); err != nil || out != want {
			t.Errorf("%d: %+v, %v", i, out, err)
		}
	}
}

// A panic leaves no caller waiting.
func TestRepeatOfPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{produce: func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
			<-time.After(time.Second)
			panic("fault")
		}}
		r := j.with(t, &store{})
		var first sync.WaitGroup
		first.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone")
				}
			}()
			_, _ = r.Deliver(t.Context(), event())
		})
		synctest.Wait()
		if _, err := r.Deliver(t.Context(), event()); delivery.ClassOf(err) != delivery.UnknownOutcome {
			t.Errorf("the repeat has %v", err)
		}
		first.Wait()
	})
}

// The newest 8192 ids are remembered.
func TestRepeatsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 8192
	j := &journal{produce: func(context.Context, registration.Record) (delivery.RecordMetadata, error) { return stored(), nil }}
	r := j.with(t, &store{})
	deliver := func(i int) relay.Outcome {
		out, err := r.Deliver(t.Context(), chosen(strconv.Itoa(i), "auth0|1"))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for i := range most + 2 {
		deliver(i)
	}
	for _, i := range []int{2, most, most + 1} {
		if !deliver(i).Replayed {
			t.Errorf("%d is forgotten", i)
		}
	}
	for _, i := range []int{0, 1} {
		if deliver(i).Replayed {
			t.Errorf("%d is still known", i)
		}
	}
}

// 100 repeats of each of 100 ids, whose answers are those of the first.
func TestStorm(t *testing.T) {
	t.Parallel()
	j := &journal{produce: counting()}
	synctest.Test(t, func(t *testing.T) {
		r := j.with(t, &store{})
		var mu sync.Mutex
		offsets := map[string]map[int64]int{}
		var callers sync.WaitGroup
		for i := range 100 {
			id := fmt.Sprint("e-", i)
			offsets[id] = map[int64]int{}
			for range 100 {
				callers.Go(func() {
					out, err := r.Deliver(ended(t.Context()), chosen(id, "auth0|1"))
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					offsets[id][out.Kafka.Offset]++
				})
			}
		}
		callers.Wait()
		for id, seen := range offsets {
			if len(seen) != 1 {
				t.Errorf("%s was answered with %v", id, seen)
			}
		}
		if len(j.records) != 100 {
			t.Errorf("%d records", len(j.records))
		}
	})
}
