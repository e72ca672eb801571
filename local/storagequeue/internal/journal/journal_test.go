package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// TestTornTail cuts the file at every byte, as a crash may, and goes on with what is left.
func TestTornTail(t *testing.T) {
	t.Parallel()
	dir, path, ends := file(t)
	whole := read(t, path)
	all := []string{"one", "two", "", "three", "four"}
	kept := []int{0, 1, 4, 5} // records, by batches
	for size := range whole {
		write(t, path, whole[:size])
		batches := 0
		for batches+1 < len(ends) && ends[batches+1] <= size {
			batches++
		}
		j, records := reopen(t, dir)
		wantRecords(t, fmt.Sprint("cut at ", size), records, all[:kept[batches]]...)
		add(t, j, "more")
		closeIt(t, j)
		j, records = reopen(t, dir)
		wantRecords(t, fmt.Sprint("after a cut at ", size), records, append(all[:kept[batches]:kept[batches]], "more")...)
		closeIt(t, j)
	}
	for _, tail := range [][]byte{make([]byte, 100), bytes.Repeat([]byte{0xff}, 100), whole[ends[2] : ends[3]-1]} {
		write(t, path, slices.Concat(whole, tail))
		j, records := reopen(t, dir)
		wantRecords(t, fmt.Sprintf("with %.8x… after it", tail), records, all...)
		closeIt(t, j)
	}
}

// TestDamage changes every byte of the file in turn. What came before the last batch was promised, so that its loss must
// be told.
func TestDamage(t *testing.T) {
	t.Parallel()
	dir, path, ends := file(t)
	whole := read(t, path)
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x40
		write(t, path, damaged)
		got := 0
		j, err := journal.Open(dir, func([]byte) error { got++; return nil })
		if at >= ends[2] {
			if err != nil || got != 4 {
				t.Errorf("byte %d, in the last batch: %v, %d records, want 4", at, err, got)
			}
			if j != nil {
				closeIt(t, j)
			}
			continue
		}
		if err == nil {
			t.Errorf("byte %d: the damage was not noticed", at)
			closeIt(t, j)
		}
		if !bytes.Equal(read(t, path), damaged) {
			t.Fatalf("byte %d: the damaged file was changed", at)
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"text":            "not a journal, but somebody's notes",
		"another version": "userrelay queue journal 2\n",
		"short text":      "note",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "journal"), []byte(content))
		if _, err := journal.Open(dir, nil); err == nil {
			t.Errorf("%s: it was opened", name)
		}
		if got := read(t, filepath.Join(dir, "journal")); string(got) != content {
			t.Errorf("%s: it was changed to %q", name, got)
		}
	}
	dir, _, _ := file(t)
	refused := errors.New("not a record of mine")
	if _, err := journal.Open(dir, func([]byte) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want what replay says", err)
	}
	notADir := filepath.Join(dir, "journal", "x")
	if _, err := journal.Open(notADir, nil); err == nil {
		t.Error("a folder in a file was opened")
	}
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

// FuzzOpen: any file opens or is refused, without a panic; one that opens opens again with the same records.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	j, err := journal.Open(dir, func([]byte) error { return nil })
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range []string{"one", "", strings.Repeat("x", 200)} {
		j.Append([]byte(r))
		if err := j.Latest().Wait(); err != nil {
			f.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		f.Fatal(err)
	}
	for end := len(seed); end > 0; end -= 20 {
		f.Add(seed[:end])
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "journal"), content)
		var first []string
		j, err := journal.Open(dir, func(r []byte) error { first = append(first, string(r)); return nil })
		if err != nil {
			return
		}
		closeIt(t, j)
		_, again := reopen(t, dir)
		wantRecords(t, "again", again, first...)
	})
}
