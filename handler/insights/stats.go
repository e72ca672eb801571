package insights

import (
	"strconv"
	"time"

	"userrelay/handler/insights/ingest"
)

// Message is a trace with only a message.
func (e *Encoder) Message(text string) []byte {
	return e.append(nil, &item{at: time.Now(), text: text})
}

// Stats is the item with which queries and people find lost telemetry.
func (e *Encoder) Stats(s ingest.Stats) []byte {
	i := item{at: time.Now(), text: "telemetry-stats", event: "telemetry-stats"}
	for _, c := range []struct {
		name  string
		value int64
	}{
		{"tracked", s.Tracked}, {"accepted", s.Accepted}, {"rejected", s.Rejected}, {"dropped", s.Dropped}, {"pending", s.Pending},
	} {
		i.more = append(i.more, property{c.name, strconv.FormatInt(c.value, 10)})
	}
	if s.Reason != "" {
		i.more = append(i.more, property{"reason", s.Reason})
	}
	return e.append(nil, &i)
}
