package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/local/storagequeue/internal/journal"
)

// reopen opens the journal in a folder and returns its records.
func reopen(t *testing.T, dir string) (*journal.Journal, []string) {
	t.Helper()
	records := []string{}
	j, err := journal.Open(dir, func(record []byte) error {
		records = append(records, string(record))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // again, mostly
	return j, records
}

func add(t *testing.T, j *journal.Journal, records ...string) {
	t.Helper()
	for _, r := range records {
		j.Append([]byte(r))
	}
	if err := j.Latest().Wait(); err != nil {
		t.Fatal(err)
	}
}

func closeIt(t *testing.T, j *journal.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantRecords(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// file makes a folder with a journal of three batches, and returns it with the file and its size after each batch.
func file(t *testing.T) (dir, path string, ends []int) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "journal")
	j, _ := reopen(t, dir)
	ends = append(ends, len(read(t, path)))
	for _, batch := range [][]string{{"one"}, {"two", "", "three"}, {"four"}} {
		add(t, j, batch...)
		ends = append(ends, len(read(t, path)))
	}
	closeIt(t, j)
	return dir, path, ends
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	dir, _, _ := file(t)
	j, records := reopen(t, dir)
	wantRecords(t, "after a restart", records, "one", "two", "", "three", "four")
	add(t, j, "five")
	closeIt(t, j)
	j.Append([]byte("six"))
	if err := j.Latest().Wait(); err == nil {
		t.Error("a record was taken by a closed journal")
	}
	_, records = reopen(t, dir)
	wantRecords(t, "after another", records, "one", "two", "", "three", "four", "five")
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	dir, _, _ := file(t)
	j, _ := reopen(t, dir)
	if _, err := journal.Open(dir, func([]byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
	closeIt(t, j)
	j, _ = reopen(t, dir)
	closeIt(t, j)
}

// TestOrder: records from many sides are kept in the order of Append.
func TestOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := reopen(t, dir)
	var want []string
	var mu sync.Mutex
	var running sync.WaitGroup
	for w := range 50 {
		running.Go(func() {
			for i := range 20 {
				r := fmt.Sprint(w, " ", i)
				mu.Lock()
				want = append(want, r)
				j.Append([]byte(r))
				commit := j.Latest()
				mu.Unlock()
				if err := commit.Wait(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	closeIt(t, j)
	_, records := reopen(t, dir)
	wantRecords(t, "records", records, want...)
}

// TestGroupCommit: records that come while one is written share a batch, of which each has a header of 12 bytes.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	const records = 10_000
	dir := t.TempDir()
	j, _ := reopen(t, dir)
	for range records {
		j.Append([]byte("x"))
	}
	closeIt(t, j)
	size := len(read(t, filepath.Join(dir, "journal")))
	if alone := records * (12 + 2); size > alone/2 {
		t.Errorf("the file has %d bytes, and %d where each record has a batch of its own", size, alone)
	}
}
