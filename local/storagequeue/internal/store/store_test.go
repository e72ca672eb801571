package store_test

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/local/storagequeue/internal/store"
)

// place is where a store keeps its queues.
type place struct{ folder bool }

func (p place) open(t *testing.T) *store.Store {
	t.Helper()
	dir := ""
	if p.folder {
		dir = t.TempDir()
	}
	return open(t, dir)
}

// TestMessages runs tests, each in a time of its own.
func TestMessages(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]place{"memory": {}, "folder": {folder: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("visibility", p.testVisibility)
			t.Run("expiry", p.testExpiry)
			t.Run("hidden past expiry", p.testHiddenPastExpiry)
			t.Run("order", p.testOrder)
			t.Run("clear", p.testClear)
		})
	}
}

// advance lets the time of a test go on. Nothing waits for it.
func advance(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock
}

// open opens a store that has the queue "q".
func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Create("q", nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *store.Store, text string, hidden, life time.Duration) store.Message {
	t.Helper()
	m, err := s.Put("q", text, hidden, life)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func get(t *testing.T, s *store.Store, n int, hidden time.Duration) []store.Message {
	t.Helper()
	found, err := s.Get("q", n, hidden)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func texts(messages []store.Message) []string {
	found := []string{}
	for _, m := range messages {
		found = append(found, m.Text)
	}
	return found
}

func wantTexts(t *testing.T, what string, got []store.Message, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), texts(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func count(t *testing.T, s *store.Store) int {
	t.Helper()
	q, err := s.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

// testVisibility is about the very moment at which a message becomes visible.
func (p place) testVisibility(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := p.open(t)
		began := time.Now()
		put(t, s, "later", 90*time.Second, 0)
		wantTexts(t, "at once", get(t, s, 32, time.Second))
		advance(90*time.Second - 1)
		wantTexts(t, "a moment before", get(t, s, 32, time.Second))
		advance(1)
		found := get(t, s, 32, 30*time.Second)
		wantTexts(t, "after 90 s", found, "later")
		if m := found[0]; m.Dequeued != 1 || !m.Visible.Equal(began.Add(2*time.Minute)) || !m.Inserted.Equal(began) {
			t.Errorf("got %+v", m)
		}
		advance(30*time.Second - 1)
		wantTexts(t, "while it is taken", get(t, s, 32, time.Second))
		advance(1)
		again := get(t, s, 32, time.Second)
		wantTexts(t, "when it was not deleted", again, "later")
		if again[0].Dequeued != 2 || again[0].Receipt == found[0].Receipt {
			t.Errorf("got %+v, with the receipt of the first time %q", again[0], found[0].Receipt)
		}
		wantError(t, "delete with the receipt of the first time", s.Delete("q", found[0].ID, found[0].Receipt), store.ErrReceiptMismatch)
		wantError(t, "delete", s.Delete("q", again[0].ID, again[0].Receipt), nil)
	})
}

// testExpiry is about the very moment at which a message is gone.
func (p place) testExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := p.open(t)
		short, long := put(t, s, "short", 0, time.Minute), put(t, s, "long", 0, 2*time.Minute)
		put(t, s, "for ever", 0, 0)
		advance(time.Minute - 1)
		wantTexts(t, "a moment before", get(t, s, 32, time.Second), "short", "long", "for ever")
		advance(1)
		if n := count(t, s); n != 2 {
			t.Errorf("%d messages after a minute, want 2", n)
		}
		wantError(t, "delete what has expired", s.Delete("q", short.ID, short.Receipt), store.ErrMessageNotFound)
		_, err := s.Update("q", short.ID, short.Receipt, nil, 0)
		wantError(t, "update what has expired", err, store.ErrMessageNotFound)
		_, err = s.Update("q", long.ID, long.Receipt, nil, time.Minute)
		wantError(t, "update with the receipt of put, after get", err, store.ErrReceiptMismatch)
		advance(50 * 365 * 24 * time.Hour)
		found := get(t, s, 32, time.Minute)
		wantTexts(t, "after 50 years", found, "for ever")
		_, err = s.Update("q", found[0].ID, found[0].Receipt, nil, 7*24*time.Hour)
		wantError(t, "hide what lives for ever", err, nil)
	})
}

// testHiddenPastExpiry: get may hide a message for longer than it lives, update may not.
func (p place) testHiddenPastExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := p.open(t)
		put(t, s, "x", 0, time.Minute)
		m := get(t, s, 1, time.Hour)[0]
		_, err := s.Update("q", m.ID, m.Receipt, new("y"), time.Minute+1)
		wantError(t, "update", err, store.ErrExpiresBefore)
		if _, err := s.Update("q", m.ID, m.Receipt, new("y"), time.Minute); err != nil {
			t.Errorf("update until it expires, with the receipt that the failed one must have left: %v", err)
		}
		advance(time.Minute)
		if n := count(t, s); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// testOrder: whoever is visible for longest comes first, and who fails goes to the back.
func (p place) testOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := p.open(t)
		put(t, s, "in 2 s", 2*time.Second, 0)
		for i := range 3 {
			put(t, s, strconv.Itoa(i), 0, 0) // all at the same moment
		}
		first := get(t, s, 1, time.Minute)
		wantTexts(t, "first", first, "0")
		advance(time.Second)
		put(t, s, "after 1 s", 0, 0)
		if _, err := s.Update("q", first[0].ID, first[0].Receipt, nil, 0); err != nil {
			t.Fatal(err)
		}
		advance(time.Second)
		put(t, s, "after 2 s", 0, 0)
		peeked, err := s.Peek("q", 32)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"1", "2", "0", "after 1 s", "in 2 s", "after 2 s"}
		wantTexts(t, "peek", peeked, want...)
		wantTexts(t, "get", get(t, s, 32, time.Second), want...)
	})
}

func (p place) testClear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := p.open(t)
		old := put(t, s, "old", 0, time.Minute)
		wantError(t, "clear", s.Clear("q"), nil)
		wantError(t, "delete", s.Delete("q", old.ID, old.Receipt), store.ErrMessageNotFound)
		put(t, s, "new", 0, 0)
		advance(time.Hour)
		wantTexts(t, "get", get(t, s, 32, time.Second), "new")
	})
}
