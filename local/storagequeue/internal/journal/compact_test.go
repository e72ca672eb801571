package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"userrelay/local/storagequeue/internal/journal"
)

// TestCompact keeps a small state in large records, and writes all the time.
func TestCompact(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	j, _ := reopen(t, dir)
	var state []string // the last 10 records
	largest, compacted := int64(0), 0
	for i := range 160 {
		r := fmt.Sprint(i, strings.Repeat("x", 256<<10))
		state = append(state[max(0, len(state)-9):len(state):len(state)], r)
		add(t, j, r)
		if j.Grown() {
			j.Compact(records(state))
			compacted++
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	closeIt(t, j)
	if compacted < 2 {
		t.Errorf("compacted %d times, want more", compacted)
	}
	if limit := int64(3 * journal.MinCompact); largest > limit {
		t.Errorf("the file has had %d bytes, want at most %d", largest, limit)
	}
	_, got := reopen(t, dir)
	if len(got) < 10 {
		t.Fatalf("%d records, want at least the state", len(got))
	}
	wantRecords(t, "the end of what is left", got[len(got)-10:], state...)
	if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unfinished file is left: %v", err)
	}
}

func records(state []string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, r := range state {
			if !yield([]byte(r), nil) {
				return
			}
		}
	}
}

// TestCompactWhileWriting holds the new file up while records come, so that they must be in both files.
func TestCompactWhileWriting(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]struct {
		err  error
		want []string
	}{
		"done":   {nil, []string{"state", "three", "four"}},
		"failed": {errors.New("no more"), []string{"one", "two", "three", "four"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j, _ := reopen(t, dir)
			add(t, j, "one", "two")
			asked, resume, taken := make(chan struct{}), make(chan struct{}), make(chan struct{})
			j.Compact(func(yield func([]byte, error) bool) {
				close(asked)
				<-resume
				yield([]byte("state"), finish.err)
				close(taken)
			})
			<-asked
			add(t, j, "three")
			if j.Grown() {
				t.Error("grown, while it is being compacted")
			}
			close(resume)
			<-taken
			waitForEnd(t, dir, finish.err == nil)
			add(t, j, "four")
			closeIt(t, j)
			_, records := reopen(t, dir)
			wantRecords(t, "records", records, finish.want...)
		})
	}
}

// waitForEnd waits until the new file is in the old one's place, or given up.
func waitForEnd(t *testing.T, dir string, done bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		_, err := os.Stat(filepath.Join(dir, "journal.new"))
		replaced := bytes.Contains(read(t, filepath.Join(dir, "journal")), []byte("state"))
		if errors.Is(err, os.ErrNotExist) && replaced == done {
			return
		}
	}
}

// TestCloseWhileCompacting: the old file stays.
func TestCloseWhileCompacting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := reopen(t, dir)
	add(t, j, "one")
	asked, resume := make(chan struct{}), make(chan struct{})
	j.Compact(func(yield func([]byte, error) bool) {
		close(asked)
		<-resume
		for yield(bytes.Repeat([]byte("x"), 1<<20), nil) { // until it is stopped
		}
	})
	<-asked
	closed := make(chan error)
	go func() { closed <- j.Close() }()
	close(resume)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	_, records := reopen(t, dir)
	wantRecords(t, "records", records, "one")
}
