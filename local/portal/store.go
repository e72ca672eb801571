package portal

import (
	"bytes"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Item is one telemetry item: what the search needs of it, and all of it.
type Item struct {
	Name       string            `json:"name"`
	Time       string            `json:"time"`
	Tags       map[string]string `json:"tags"`
	Properties map[string]string `json:"properties"`
	Raw        jsontext.Value    `json:"raw"` // the envelope as it came
}

// Query says which items are wanted. Empty fields do not matter.
type Query struct {
	UserID, EventID, InvocationID, Operation string // the whole value
	Text                                     string // anywhere in the item, as the portal's search has it
}

func (q Query) matches(i *Item) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return same(q.UserID, i.Properties["userId"]) && same(q.EventID, i.Properties["eventId"]) &&
		same(q.InvocationID, i.Properties["InvocationId"]) && same(q.Operation, i.Tags["ai.operation.id"]) &&
		(q.Text == "" || strings.Contains(string(i.Raw), q.Text))
}

const keep = 10_000 // items

// store keeps the newest items.
type store struct {
	mu    sync.Mutex
	items []Item // a ring; next is the oldest once it is full
	next  int
}

// add reads envelopes and keeps those that are sound. It returns the indexes of those that are not.
func (s *store) add(envelopes []jsontext.Value) (rejected []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, raw := range envelopes {
		item, err := parseItem(raw)
		if err != nil {
			rejected = append(rejected, i)
			continue
		}
		if len(s.items) < keep {
			s.items = append(s.items, item)
			continue
		}
		s.items[s.next] = item
		s.next = (s.next + 1) % keep
	}
	return rejected
}

// find returns the matching items, the oldest first.
func (s *store) find(q Query) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []Item{}
	for i := range s.items {
		if item := &s.items[(s.next+i)%len(s.items)]; q.matches(item) {
			found = append(found, *item)
		}
	}
	return found
}

func parseItem(raw jsontext.Value) (Item, error) {
	var envelope struct {
		Name string            `json:"name"`
		Time string            `json:"time"`
		Tags map[string]string `json:"tags"`
		Data struct {
			BaseData struct {
				Properties map[string]string `json:"properties"`
			} `json:"baseData"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return Item{}, err
	}
	return Item{
		Name: envelope.Name, Time: envelope.Time, Tags: envelope.Tags,
		Properties: envelope.Data.BaseData.Properties, Raw: bytes.Clone(raw),
	}, nil
}
