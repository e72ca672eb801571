package outbox_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/outbox"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

func inBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// A received message equals the one that was put. It is received again until it is deleted, its attempts are counted,
// and it is hidden from others in between. One of another program is returned unchanged: the reader decides whether it
// is valid.
func TestReceive(t *testing.T) {
	t.Parallel()
	s, q, ctx := started(t)
	if got, err := q.Receive(ctx, 32, time.Minute); len(got) != 0 || err != nil {
		t.Errorf("of no queue: %v, %v", got, err)
	}
	if n, err := q.Count(ctx); n != 0 || err != nil {
		t.Errorf("no queue has %d messages: %v", n, err)
	}
	want := []string{"hello, world", inBase64(message(0).Encode())}
	foreign := queuetest.Make(t, s.ConnectionString(), outbox.QueueName)
	queuetest.Put(t, foreign, want[0])
	queuetest.Put(t, foreign, inBase64([]byte(want[1])))
	for i := range 38 {
		put(t, q, message(i), 0)
		want = append(want, string(message(i).Encode()))
	}
	for tries := range int64(2) {
		var seen []delivery.Received
		for _, n := range []int{32, 8, 0} {
			got, err := q.Receive(ctx, 1000, time.Minute)
			if err != nil || len(got) != n {
				t.Fatalf("%d messages, want %d: %v", len(got), n, err)
			}
			seen = append(seen, got...)
		}
		var texts []string
		for _, m := range seen {
			texts = append(texts, string(m.Message))
			if m.Until.IsZero() || m.Tries != tries+1 || m.Queue != outbox.QueueName {
				t.Errorf("%+v", m)
			}
			if err := q.Show(ctx, m.Kept, 0); err != nil {
				t.Error(err)
			}
			if err := q.Show(ctx, m.Kept, 0); !errors.Is(err, delivery.ErrSeen) {
				t.Errorf("shown a second time: %v", err)
			}
		}
		slices.Sort(texts)
		slices.Sort(want)
		if !slices.Equal(texts, want) {
			t.Errorf("received %q, want %q", texts, want)
		}
	}
	if n, err := q.Count(ctx); n != 40 || err != nil {
		t.Errorf("%d messages, want 40: %v", n, err)
	}
}

// Look shows the first 32 messages of either queue, and says whether those are all: hidden and unreadable messages
// count as well. It removes nothing.
func TestLook(t *testing.T) {
	t.Parallel()
	s, q, ctx := started(t)
	want := func(what, want string) (w, p outbox.Seen) {
		t.Helper()
		for range 2 { // the second time shows that the first took nothing
			var err error
			w, p, err = q.Look(wait.Context(t))
			if got := fmt.Sprint(len(w.Events), w.Whole, len(p.Events), p.Whole); err != nil || got != want {
				t.Errorf("%s: got %s (%v), want %s", what, got, err, want)
			}
		}
		return w, p
	}
	want("no queues", "0 true 0 true")
	put(t, q, message(1), 0)
	if _, err := q.Poison(ctx, message(2).Encode(), "It cannot be read."); err != nil {
		t.Fatal(err)
	}
	if w, p := want("one in each", "1 true 1 true"); w.Events[0].ID != "e-1" || p.Events[0].ID != "e-2" {
		t.Errorf("got %+v and %+v", w, p)
	}
	queuetest.Put(t, queuetest.Open(t, s.ConnectionString(), outbox.QueueName+"-poison"), "no base64!")
	want("one that cannot be read", "1 true 1 false")
	put(t, q, message(3), time.Hour)
	want("one that is hidden", "1 false 1 false")
	for i := range 31 {
		put(t, q, message(10+i), 0)
	}
	want("more than are shown", "32 false 1 false")
}
