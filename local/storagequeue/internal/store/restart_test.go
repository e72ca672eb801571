package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/bbolt"

	"userrelay/local/storagequeue/internal/store"
)

// model is a queue in as few words as possible: a list, all of which is looked at each time.
type model struct{ messages []store.Message }

func (q *model) expire() {
	q.messages = slices.DeleteFunc(q.messages, func(m store.Message) bool { return !m.Expires.After(time.Now()) })
}

// visible returns the messages that a get finds, in their order.
func (q *model) visible() []store.Message {
	q.expire()
	found := slices.DeleteFunc(slices.Clone(q.messages), func(m store.Message) bool { return m.Visible.After(time.Now()) })
	slices.SortStableFunc(found, func(a, b store.Message) int { return a.Visible.Compare(b.Visible) })
	return found
}

func (q *model) find(id string) *store.Message {
	q.expire()
	if i := slices.IndexFunc(q.messages, func(m store.Message) bool { return m.ID == id }); i >= 0 {
		return &q.messages[i]
	}
	return nil
}

func (q *model) remove(id string) {
	q.messages = slices.DeleteFunc(q.messages, func(m store.Message) bool { return m.ID == id })
}

// TestAgainstModel does many things at random and compares the store with the model, also after restarts.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		dir, steps := "", 3000
		if seed%2 == 1 {
			dir, steps = t.TempDir(), 500
		}
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { walk(t, rand.New(rand.NewPCG(seed, 1)), steps, dir) })
		})
	}
}

func walk(t *testing.T, random *rand.Rand, steps int, dir string) {
	t.Helper()
	s := open(t, dir)
	var q model
	seconds := func(n int) time.Duration { return time.Duration(random.IntN(n)) * time.Second }
	var known []store.Message // with receipts of all ages
	for step := range steps {
		switch pick := random.IntN(20); {
		case pick < 7:
			m := put(t, s, fmt.Sprint("message ", step), seconds(3), seconds(4)*20)
			q.messages, known = append(q.messages, m), append(known, m)
		case pick < 11:
			n, hidden := 1+random.IntN(32), seconds(60)+time.Second
			want := q.visible()
			want = want[:min(n, len(want))]
			got := get(t, s, n, hidden)
			wantTexts(t, fmt.Sprint("step ", step, ": get"), got, texts(want)...)
			for _, m := range got {
				kept := q.find(m.ID)
				kept.Visible, kept.Dequeued, kept.Receipt = time.Now().Add(hidden), kept.Dequeued+1, m.Receipt
			}
			known = append(known, got...)
		case pick < 18 && len(known) > 0:
			m := known[random.IntN(len(known))]
			kept := q.find(m.ID)
			var want error
			if kept == nil {
				want = store.ErrMessageNotFound
			} else if kept.Receipt != m.Receipt {
				want = store.ErrReceiptMismatch
			}
			if pick < 15 {
				wantError(t, fmt.Sprint("step ", step, ": delete"), s.Delete("q", m.ID, m.Receipt), want)
				if want == nil {
					q.remove(m.ID)
				}
				break
			}
			hidden := seconds(30)
			if want == nil && time.Now().Add(hidden).After(kept.Expires) {
				want = store.ErrExpiresBefore
			}
			updated, err := s.Update("q", m.ID, m.Receipt, new("updated"), hidden)
			wantError(t, fmt.Sprint("step ", step, ": update"), err, want)
			if want == nil {
				*kept = updated
				known = append(known, updated)
			}
		case pick == 18:
			advance(time.Duration(random.IntN(5000)) * time.Millisecond)
		case dir != "" && random.IntN(10) == 0:
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
		}
	}
	q.expire()
	if n := count(t, s); n != len(q.messages) {
		t.Errorf("%d messages, want %d", n, len(q.messages))
	}
}

// TestRestart compares all of a store's state before and after.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Create("other", map[string]string{"colour": "red"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create("gone", nil); err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return s.Drop("gone") },
		func() error { return s.SetMetadata("other", map[string]string{"a": "b"}) },
		func() error { _, err := s.Put("other", "to be cleared", 0, 0); return err },
		func() error { return s.Clear("other") },
		func() error { _, err := s.Put("other", "<&>\n 🦆", 0, 0); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		put(t, s, strconv.Itoa(i), 0, time.Hour)
	}
	taken := get(t, s, 2, time.Hour)
	if err := s.Delete("q", taken[0].ID, taken[0].Receipt); err != nil {
		t.Fatal(err)
	}
	updated, err := s.Update("q", taken[1].ID, taken[1].Receipt, new("updated"), 0)
	if err != nil {
		t.Fatal(err)
	}

	before := state(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put("q", "x", 0, 0); err == nil {
		t.Error("a put to a closed store succeeded")
	}
	s = open(t, dir)
	if diff := cmp.Diff(before, state(t, s), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("state (-before +after):\n%s", diff)
	}
	wantError(t, "delete with a receipt from before", s.Delete("q", updated.ID, updated.Receipt), nil)
}

// TestFileSize writes some times what the file may have, and keeps little of it.
func TestFileSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "the first", 0, 0)
	put(t, s, "hidden", time.Hour, 2*time.Hour)
	taken := get(t, s, 1, 0)
	text := strings.Repeat("x", 64<<10)
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			for range 25 {
				m, err := s.Put("q", text, time.Minute, 0)
				if err == nil {
					err = s.Delete("q", m.ID, m.Receipt)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	put(t, s, "the last", 0, 0)
	before := state(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "queues.db"))
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(20 * 25 * len(text) / 2); info.Size() > limit {
		t.Errorf("the file has %d bytes, want at most %d", info.Size(), limit)
	}
	s = open(t, dir)
	if diff := cmp.Diff(before, state(t, s), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("state (-before +after):\n%s", diff)
	}
	if n := count(t, s); n != 3 {
		t.Errorf("%d messages, want 3, with the hidden one", n)
	}
	wantError(t, "delete with a receipt from before", s.Delete("q", taken[0].ID, taken[0].Receipt), nil)
}

// TestRefusedFiles opens no file that is not a store's, says why, and leaves it as it is.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "database")
	db, err := bbolt.Open(database, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("somebody's"))
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, content, want string }{
		{"queues.db", "somebody's notes", "open the file queues.db"},
		{"queues.db", string(foreign), "read the file queues.db"},
		{"journal", "userrelay queue journal 1\n", "an earlier version"},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, tt.name)
		if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %.20q: got %v, want %s", tt.name, tt.content, err, tt.want)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != tt.content {
			t.Errorf("%s, %.20q: it was changed, %v", tt.name, tt.content, err)
		}
	}
}

// TestNotText: what the file cannot have is refused, and the store goes on.
func TestNotText(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if _, err := s.Put("q", "\xff", 0, 0); err == nil {
		t.Error("a text that is not UTF-8 was taken")
	}
	if _, err := s.Create("other", map[string]string{"a": "\xff"}); err == nil {
		t.Error("metadata that are not UTF-8 were taken")
	}
	put(t, s, "x", 0, 0)
	wantTexts(t, "get", get(t, s, 32, time.Second), "x")
	if all, _, err := s.Queues("", "", 10); err != nil || len(all) != 1 {
		t.Errorf("got %v, %v", all, err)
	}
}

// state returns the queues, and the first 32 visible messages of each.
func state(t *testing.T, s *store.Store) map[string][]any {
	t.Helper()
	all, next, err := s.Queues("", "", 100)
	if err != nil || next != "" {
		t.Fatal(err, next)
	}
	found := make(map[string][]any)
	for _, q := range all {
		messages, err := s.Peek(q.Name, 32)
		if err != nil {
			t.Fatal(err)
		}
		found[q.Name] = []any{q, messages}
	}
	return found
}
