package portal

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Query selects items. Empty fields are ignored.
type Query struct {
	UserID, EventID, InvocationID, Operation, Event string // the whole value
	// Text is a part of any value of the item, ignoring case as in the Azure portal's search, or of its JSON.
	Text string
	// Notes selects items that belong to no registration.
	Notes bool
	// Newest limits the number of items, with the newest first. 0 means all, the oldest first.
	Newest int
}

func (q Query) matches(i *Item) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return same(q.UserID, i.Properties["userId"]) && same(q.EventID, i.Properties["eventId"]) &&
		same(q.InvocationID, i.Properties["InvocationId"]) && same(q.Operation, i.Tags["ai.operation.id"]) &&
		same(q.Event, i.Properties["event"]) && (!q.Notes || i.note) &&
		(q.Text == "" || strings.Contains(i.words, strings.ToLower(q.Text)) || strings.Contains(string(i.Raw), q.Text))
}

// Limits. An item takes its JSON and about the same amount for the search.
const (
	keepItems = 20_000
	keepBytes = 64 << 20 // of JSON
)

// store keeps the newest items.
type store struct {
	mu    sync.Mutex
	items []*Item // in the order of their arrival
	bytes int
	last  int64 // number of the newest item
}

func (s *store) add(i *Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	i.Number = s.last
	s.items = append(s.items, i)
	s.bytes += len(i.Raw)
	for len(s.items) > keepItems || s.bytes > keepBytes {
		s.bytes -= len(s.items[0].Raw)
		s.items[0] = nil // the array lives on until append needs a larger one
		s.items = s.items[1:]
	}
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items)
}

// newest returns when the newest item was made, or zero.
func (s *store) newest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) == 0 {
		return time.Time{}
	}
	return s.items[len(s.items)-1].at
}

// find returns the matching items in the order of their times. Items do not change once they are kept.
func (s *store) find(q Query) []*Item {
	s.mu.Lock()
	all := slices.Clone(s.items)
	s.mu.Unlock()
	found := slices.DeleteFunc(all, func(i *Item) bool { return !q.matches(i) })
	slices.SortFunc(found, func(a, b *Item) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.Number, b.Number)) })
	if q.Newest > 0 {
		slices.Reverse(found)
		found = found[:min(q.Newest, len(found))]
	}
	return found
}
