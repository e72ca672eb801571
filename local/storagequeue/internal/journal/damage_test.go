package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"userrelay/local/storagequeue/internal/journal"
)

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
