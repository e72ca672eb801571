package portal

import (
	"slices"
	"strconv"
	"time"
)

// The largest number of items that are shown of a transaction, the oldest ones.
const (
	maxSteps  = 200
	maxPlaces = 10
)

// Transaction has the items of one operation id.
type Transaction struct {
	Operation string `json:"operation"`
	Start     string `json:"start"` // RFC 3339
	UserID    string `json:"userId,omitempty"`
	// Outcome is the event of the newest item that has one: received, forwarded, refused, …
	Outcome    string `json:"outcome,omitempty"`
	ErrorClass string `json:"errorClass,omitempty"` // of that item
	// TookMs is the time from the first item's start to the last one's end.
	TookMs  float64 `json:"tookMs"`
	Steps   []Step  `json:"steps"`
	Records []Place `json:"records"` // each once
}

// Step is one item of a transaction.
type Step struct {
	*Item
	OffsetMs float64 `json:"offsetMs"` // from the transaction's start
}

// Place is the position of a record.
type Place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// newTransaction makes a transaction of its items, which are at least one and in the order of their times.
func newTransaction(operation string, items []*Item) Transaction {
	start := items[0].at
	t := Transaction{Operation: operation, Start: start.UTC().Format(time.RFC3339Nano), Records: []Place{}}
	for _, item := range items[:min(maxSteps, len(items))] {
		step := Step{Item: item, OffsetMs: float64(item.at.Sub(start).Microseconds()) / 1e3}
		t.Steps = append(t.Steps, step)
		end := step.OffsetMs
		if item.DurationMs != nil {
			end += *item.DurationMs
		}
		t.TookMs = max(t.TookMs, end)
		p := item.Properties
		if t.UserID == "" {
			t.UserID = p["userId"]
		}
		if p["event"] != "" {
			t.Outcome, t.ErrorClass = p["event"], p["errorClass"]
		}
		if place, ok := placeOf(p); ok && !slices.Contains(t.Records, place) && len(t.Records) < maxPlaces {
			t.Records = append(t.Records, place)
		}
	}
	return t
}

// placeOf reads the record's place from an item.
func placeOf(properties map[string]string) (Place, bool) {
	partition, err := strconv.ParseInt(properties["partition"], 10, 32)
	if err != nil {
		return Place{}, false
	}
	offset, err := strconv.ParseInt(properties["offset"], 10, 64)
	if err != nil {
		return Place{}, false
	}
	return Place{properties["topic"], int32(partition), offset}, true
}
