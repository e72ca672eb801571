package store_test

import (
	"testing"
	"time"

	"userrelay/local/storagequeue/internal/journal"
	"userrelay/local/storagequeue/internal/store"
)

// FuzzOpen: a journal with any records opens or is refused, without a panic, and a store that opens works.
func FuzzOpen(f *testing.F) {
	create := `{"op":"create","queue":"q"}`
	message := `"messages":[{"id":"m","text":"x","inserted":"2026-11-24T00:00:00Z","expires":"9999-12-31T23:59:59Z","visible":"2026-11-24T00:00:00Z","receipt":"r"}]`
	f.Add(create, `{"op":"put","queue":"q",`+message+`}`)
	f.Add(create, `{"op":"set","queue":"q",`+message+`}`)
	f.Add(create, `{"op":"delete","queue":"q",`+message+`}`)
	f.Add(create, `{"op":"put","queue":"q","messages":[{"id":"m"},{"id":"m"}]}`)
	f.Add(create, `{"op":"metadata","queue":"q","metadata":{"a":"b"}}`)
	f.Add(create, create)
	f.Add(create, `{"op":"clear","queue":"q"}`)
	f.Add(create, `{"op":"drop","queue":"q"}`)
	f.Add(create, `{"op":"fly","queue":"q"}`)
	f.Add(`{"op":"put","queue":"q"}`, `null`)
	f.Add(`{`, `{"op":"create","queue":"q","more":1}`)
	f.Fuzz(func(t *testing.T, first, second string) {
		dir := t.TempDir()
		j, err := journal.Open(dir, func([]byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		j.Append([]byte(first))
		j.Append([]byte(second))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(dir)
		if err != nil {
			return
		}
		all, _, err := s.Queues("", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range all {
			sent, err := s.Put(q.Name, "x", 0, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(q.Name, 32, time.Minute); err != nil {
				t.Fatal(err)
			}
			_ = s.Delete(q.Name, sent.ID, sent.Receipt) // it may have been taken
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = store.Open(dir); err != nil {
			t.Fatalf("a store of ours does not open again: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRefusedRecords: a journal that no store has written is refused with a word on what is wrong.
func TestRefusedRecords(t *testing.T) {
	t.Parallel()
	for name, records := range map[string][]string{
		"not JSON":         {"x"},
		"unknown member":   {`{"op":"create","queue":"q","size":1}`},
		"no queue":         {`{"op":"clear","queue":"q"}`},
		"created twice":    {`{"op":"create","queue":"q"}`, `{"op":"create","queue":"q"}`},
		"no message":       {`{"op":"create","queue":"q"}`, `{"op":"delete","queue":"q","messages":[{"id":"m"}]}`},
		"put twice":        {`{"op":"create","queue":"q"}`, `{"op":"put","queue":"q","messages":[{"id":"m"},{"id":"m"}]}`},
		"no such verb":     {`{"op":"create","queue":"q"}`, `{"op":"fly","queue":"q"}`},
		"set what is gone": {`{"op":"create","queue":"q"}`, `{"op":"set","queue":"q","messages":[{"id":"m"}]}`},
	} {
		dir := t.TempDir()
		j, err := journal.Open(dir, func([]byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			j.Append([]byte(r))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(dir); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
}
