package portal

import (
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzMessage checks that any message of the queues can be shown.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		"", "e30=", "{}", "not base64", "//79",
		`{"reason":"r","message":"e30=","poisonedtime":"2026-11-24T13:00:00Z"}`, `{"reason":"r","message":null}`, `{"reason":1}`,
		`{"specversion":"1.0","id":"a","subject":"u","traceparent":"00-a-b-00","queuedtime":"x","errorclass":"unavailable"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := QueueMessage{ID: "m", Text: text, Inserted: time.Unix(0, 0)}
		w, p := newWaiting(m), newPoisoned(m)
		for _, s := range []string{w.UserID, w.EventID, w.ErrorClass, w.Operation, w.Text, p.Reason, p.UserID, p.EventID, p.Text} {
			if !utf8.ValidString(s) || len(s) > 1<<20 && len(text) < 1<<16 {
				t.Errorf("%q cannot be shown", s)
			}
		}
		for _, s := range []string{w.Since, p.Since} {
			if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
				t.Errorf("%q is no time", s)
			}
		}
		if p.Reason == "" || w.EventID == "" && !w.Visible {
			t.Errorf("%+v, %+v", w, p)
		}
	})
}
