package insights_test

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
)

// TestLongTexts has texts of each kind that are longer than the schema allows, with a long rune at the limit. Each
// must be cut to the largest number of whole runes.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return "x" + strings.Repeat("😀", n/4+1) } // four bytes each
	node := testNode()
	node.Role, node.Instance, node.Version = long(256), long(256), long(1024)
	encoder, sink := insights.NewEncoder(node), &itemSink{}
	telemetry := insights.New(insights.Config{Sink: sink, Encoder: encoder, Log: slog.New(slog.DiscardHandler), Broker: "b", Topic: long(1024), Queue: long(1024)})
	send := sentEvent(nil)
	send.Event.UserID, send.Metadata.Topic = long(8192), long(8192)
	telemetry.Sent(t.Context(), send)
	sink.Track(encoder.Message(long(32768)))
	telemetry.Panicked(t.Context(), longError(long(32768)), nil)

	envelope, data := decode(t, sink.lines[0])
	dependency, _ := data.(*contracts.RemoteDependencyData)
	items := sink.told(t)
	for text, limit := range map[string]int{
		envelope.Tags[contracts.CloudRole]: 256, envelope.Tags[contracts.CloudRoleInstance]: 256,
		envelope.Tags[contracts.ApplicationVersion]: 1024, envelope.Tags[contracts.InternalSdkVersion]: 64,
		dependency.Name: 1024, dependency.Target: 1024, dependency.Properties["userId"]: 8192, dependency.Properties["topic"]: 8192,
		items[1].Text: 32768, items[2].Text: len("insights_test.longError: ") + 32768,
	} {
		if len(text) > limit || len(text) < limit-3 || strings.ContainsRune(text, utf8.RuneError) {
			t.Errorf("%.40s… has %d bytes of at most %d", text, len(text), limit)
		}
	}
}

// longError is a runtime error with a long text.
type longError string

func (e longError) Error() string { return string(e) }
func (longError) RuntimeError()   {}

// FuzzItems checks the items of a registration with any texts.
func FuzzItems(f *testing.F) {
	f.Add("auth0|65f0c0ffee", "e-1", "user-events", 3, int64(317), int64(30e6))
	f.Add("auth0|1", "e-1", "user-events", 0, int64(0), int64(93784_123456789)) // a day, two hours, three minutes, four seconds
	f.Add("auth0|1", strings.Repeat("y", 9000), "t", 0, int64(0), int64(0))
	f.Add("<é\"\\\x00\u2028😀>", "", "", -1, int64(-1), int64(0))
	f.Add("\xff\xf0\x9f", "\xc3", strings.Repeat("é", 600), 1<<31-1, int64(math.MaxInt64), int64(math.MaxInt64))
	f.Add(strings.Repeat("\x01", 1000), "e-1", "user-events", 3, int64(317), int64(30e6)) // six bytes each, as JSON
	f.Fuzz(func(t *testing.T, userID, eventID, topic string, partition int, offset, duration int64) {
		if duration < 0 || len(topic) > 1<<15 || len(userID) > 1<<12 {
			t.Skip("time does not run backwards, and a registration's texts have limits")
		}
		sink := &itemSink{}
		telemetry := insights.New(insights.Config{Sink: sink, Encoder: insights.NewEncoder(testNode()), Log: slog.New(slog.DiscardHandler), Broker: "b-1", Topic: topic})
		e := registeredEvent()
		e.UserID, e.ID = userID, eventID
		send := sentEvent(nil)
		send.Event, send.Duration = e, time.Duration(duration)
		send.Metadata = delivery.RecordMetadata{Topic: topic, Partition: partition, Offset: offset}
		telemetry.Received(invokedContext(t), e)
		telemetry.Sent(t.Context(), send)
		telemetry.Forwarded(invokedContext(t), e, send.Metadata)
		for _, item := range sink.told(t) {
			p := item.Properties
			for name, text := range map[string]string{"userId": userID, "eventId": eventID} {
				if utf8.ValidString(text) && !strings.HasPrefix(text, p[name]) || len(text) <= 8192 && utf8.ValidString(text) && p[name] != text {
					t.Errorf("%s %q, want %q", name, p[name], text)
				}
			}
			if item.Kind != "trace" || p["offset"] != "" {
				if p["offset"] != strconv.FormatInt(offset, 10) || p["partition"] != strconv.Itoa(partition) {
					t.Errorf("place %+v", p)
				}
			}
			if item.Kind == "dependency" {
				if got := parseDuration(t, item.Duration); got != time.Duration(duration).Truncate(100) {
					t.Errorf("duration %q, want %v", item.Duration, time.Duration(duration))
				}
			}
		}
	})
}

// parseDuration reads D.HH:MM:SS.fffffff.
func parseDuration(t *testing.T, s string) time.Duration {
	t.Helper()
	var days, hours, minutes, seconds, ticks int64
	if n, err := fmt.Sscanf(s, "%d.%02d:%02d:%02d.%07d", &days, &hours, &minutes, &seconds, &ticks); n != 5 || err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return time.Duration(((((days*24+hours)*60+minutes)*60+seconds)*1e7 + ticks) * 100)
}
