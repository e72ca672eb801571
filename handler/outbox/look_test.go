package outbox_test

import (
	"testing"
	"time"

	"userrelay/handler/outbox"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// Look shows the first 32 messages of either queue, and says whether those are all: hidden and unreadable messages
// count as well. It removes nothing.
func TestLook(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	want := func(what string, waiting int, whole bool, poison int, poisonWhole bool) {
		t.Helper()
		for range 2 { // the second time shows that the first took nothing
			w, p, err := q.Look(wait.Context(t))
			if err != nil || len(w.Events) != waiting || w.Whole != whole || len(p.Events) != poison || p.Whole != poisonWhole {
				t.Errorf("%s: got %d %v and %d %v (%v), want %d %v and %d %v",
					what, len(w.Events), w.Whole, len(p.Events), p.Whole, err, waiting, whole, poison, poisonWhole)
			}
		}
	}
	put := func(i int, hidden time.Duration) {
		t.Helper()
		if _, err := q.Put(wait.Context(t), message(i), hidden); err != nil {
			t.Fatal(err)
		}
	}
	want("no queues", 0, true, 0, true)
	put(1, 0)
	if _, err := q.Poison(wait.Context(t), message(2).Encode(), "It cannot be read."); err != nil {
		t.Fatal(err)
	}
	want("one in each", 1, true, 1, true)
	if w, p, err := q.Look(wait.Context(t)); err != nil || w.Events[0].UserID != message(1).Event.UserID || p.Events[0].ID != message(2).Event.ID {
		t.Errorf("got %+v and %+v (%v)", w, p, err)
	}
	if _, err := queuetest.Open(t, s.ConnectionString(), outbox.QueueName+"-poison").EnqueueMessage(wait.Context(t), "no base64!", nil); err != nil {
		t.Fatal(err)
	}
	want("one that cannot be read", 1, true, 1, false)
	put(3, time.Hour)
	want("one that is hidden", 1, false, 1, false)
	for i := range 31 {
		put(10+i, 0)
	}
	want("more than are shown", 32, false, 1, false)

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Look(wait.Context(t)); err == nil {
		t.Error("a service that is gone is no error")
	}
}
