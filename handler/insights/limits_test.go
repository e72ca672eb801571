package insights_test

import (
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/ApplicationInsights-Go/appinsights"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
)

// TestLongValues has texts of each kind that are longer than the schema allows, with a rune where they are cut.
func TestLongValues(t *testing.T) {
	long := func(n int) string { return strings.Repeat("😀", n/4+1) } // four bytes each
	synctest.Test(t, func(t *testing.T) {
		_, lines, st := wire(t, func(s insights.Sink) {
			m := appinsights.NewTraceTelemetry("xyz"+long(32768), appinsights.Information)
			m.Properties["key"] = "x" + long(8192)
			m.Tags.Cloud().SetRole("x" + long(256))
			m.Tags.Operation().SetId("xy" + long(128))
			m.Tags.Operation().SetName("xyz" + long(1024))
			s.Track(m)
			d := appinsights.NewRemoteDependencyTelemetry("x"+long(1024), "xy"+long(1024), "xyz"+long(1024), true)
			d.Id, d.ResultCode, d.Data = "x"+long(128), "x"+long(1024), "xy"+long(8192)
			s.Track(d)
			e := appinsights.NewExceptionTelemetry("x" + long(32768))
			e.Frames = []*contracts.StackFrame{{Method: "x" + long(1024), Assembly: "xy" + long(1024), FileName: "xyz" + long(1024)}}
			s.Track(e)
		})
		if st.Accepted != 3 || st.Cut != 5+6+4 {
			t.Fatalf("%+v", st)
		}
		limits := map[string]int{
			"message": 32768, "key": 8192, "ai.cloud.role": 256, "ai.operation.id": 128, "ai.operation.name": 1024,
			"name": 1024, "type": 1024, "target": 1024, "id": 128, "resultCode": 1024, "data": 8192,
			"method": 1024, "assembly": 1024, "fileName": 1024,
		}
		seen := map[string]bool{}
		for _, line := range lines {
			for key, value := range texts(t, line) {
				if limit := limits[key]; limit > 0 && len(value) > 100 {
					seen[key] = true
					if len(value) > limit || len(value) < limit-3 || !utf8.ValidString(value) || strings.ContainsRune(value, utf8.RuneError) {
						t.Errorf("%s has %d bytes, valid %t", key, len(value), utf8.ValidString(value))
					}
				}
			}
		}
		if len(seen) != len(limits) {
			t.Errorf("cut: %v", slices.Sorted(maps.Keys(seen)))
		}
	})
}

// texts returns the strings in a JSON text by the name of their member, of several the longest.
func texts(t *testing.T, line string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case string:
			if len(v) >= len(all[name]) {
				all[name] = v
			}
		case map[string]any:
			for k, member := range v {
				walk(k, member)
			}
		case []any:
			for _, element := range v {
				walk(name, element)
			}
		}
	}
	var v any
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatal(err)
	}
	walk("", v)
	return all
}

// TestLongRole has a name of the app that is longer than the schema allows, in items of both ways to write them.
func TestLongRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		s := newSender(t, insights.SenderConfig{Transport: e, Role: "xy" + strings.Repeat("😀", 64)})
		trackTrace(s, "m")
		telemetryOf(s, slog.New(slog.DiscardHandler), false).Received(t.Context(), registeredEvent())
		s.Close(time.Second)
		for _, line := range e.requests()[0].lines {
			if got := texts(t, line)["ai.cloud.role"]; got != "xy"+strings.Repeat("😀", 63) {
				t.Errorf("%q", got)
			}
		}
	})
}

// TestLongKeys has keys that are alike once they are cut. No value is lost.
func TestLongKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		prefix := strings.Repeat("k", 149)
		_, lines, st := wire(t, func(s insights.Sink) {
			d := appinsights.NewRemoteDependencyTelemetry("send", "kafka", "b-1", true)
			d.Properties = map[string]string{
				prefix + "é": "1", prefix + "x": "2", prefix + "xa": "3", prefix + "xb": "4", prefix: "5",
			}
			d.Measurements = map[string]float64{prefix + "éa": 1, prefix + "éb": math.Inf(1), prefix + "éc": 3}
			s.Track(d)
		})
		var v struct {
			Data struct {
				BaseData struct {
					Properties   map[string]string  `json:"properties"`
					Measurements map[string]float64 `json:"measurements"`
				} `json:"baseData"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(lines[0]), &v); err != nil {
			t.Fatal(err)
		}
		properties := map[string]string{
			prefix: "5", prefix + "x": "2",
			prefix[:148] + "~2": "3", prefix[:148] + "~3": "4", prefix[:148] + "~4": "1",
		}
		if diff := cmp.Diff(properties, v.Data.BaseData.Properties); diff != "" {
			t.Errorf("properties (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]float64{prefix: 1, prefix[:148] + "~3": 3}, v.Data.BaseData.Measurements); diff != "" {
			t.Errorf("measurements (-want +got):\n%s", diff)
		}
		if st.Cut != 6 || st.NotNumbers != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// boom is an item whose maker made a mistake.
type boom struct{ appinsights.Telemetry }

// TestItemsThatCannotBeSent are counted, and nothing else.
func TestItemsThatCannotBeSent(t *testing.T) {
	var none *appinsights.TraceTelemetry
	big := appinsights.NewTraceTelemetry(strings.Repeat("\x01", 32768), appinsights.Information) // six bytes each, as JSON
	for name, item := range map[string]appinsights.Telemetry{
		"nil": nil, "a nil pointer": none, "an item that panics": boom{},
		"an event": appinsights.NewEventTelemetry("e"), "a metric": appinsights.NewMetricTelemetry("m", math.NaN()),
		"larger than 64 KB": big,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				s := newSender(t, insights.SenderConfig{Transport: e})
				s.Track(item)
				trackTrace(s, "a good one")
				<-time.After(2 * time.Second)
				want := insights.Stats{Tracked: 2, Accepted: 1, Dropped: insights.Dropped{Invalid: 1}, Posts: 1}
				if diff := cmp.Diff(want, s.Stats()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// FuzzRecords holds what is sent of a registration against what the SDK's types make of it, whatever the texts are.
func FuzzRecords(f *testing.F) {
	f.Add("auth0|65f0c0ffee", "e-1", "user-events", 3, int64(317), int64(30e6))
	f.Add("auth0|1", "e-1", "user-events", 0, int64(0), int64(93784_123456789)) // a day, two hours, three minutes, four seconds
	f.Add("auth0|1", strings.Repeat("y", 9000), "t", 0, int64(0), int64(0))
	f.Add("<é\"\\\x00\u2028😀>", "", "", -1, int64(-1), int64(0))
	f.Add("\xff\xf0\x9f", "\xc3", strings.Repeat("é", 600), 1<<31-1, int64(math.MaxInt64), int64(math.MaxInt64))
	f.Add(strings.Repeat("\x01", 6000), "e-1", "user-events", 3, int64(317), int64(30e6)) // six bytes each, as JSON
	f.Add(strings.Repeat("x", 40000), strings.Repeat("y", 9000), "t", 0, int64(0), int64(999999999999999))
	f.Fuzz(func(t *testing.T, userID, eventID, topic string, partition int, offset, duration int64) {
		if duration < 0 {
			t.Skip("time does not run backwards")
		}
		synctest.Test(t, func(t *testing.T) {
			items, lines, st := wire(t, func(s insights.Sink) {
				telemetry := insights.New(insights.Config{Sink: s, Log: slog.New(slog.DiscardHandler), Broker: "b-1", Topic: topic})
				e := registeredEvent()
				e.UserID, e.ID = userID, eventID
				md := delivery.RecordMetadata{Topic: topic, Partition: partition, Offset: offset}
				send := sentEvent(nil)
				send.Event, send.Metadata, send.Duration = e, md, time.Duration(duration)
				telemetry.Received(invokedContext(t), e)
				telemetry.Sent(t.Context(), send)
				telemetry.Forwarded(invokedContext(t), e, md)
			})
			addUp(t, st)
			if st.Accepted+st.Dropped.Invalid != 3 || len(lines) != int(st.Accepted) {
				t.Fatalf("%d lines, %+v", len(lines), st)
			}
			for i, line := range lines {
				if len(line) > 64<<10 {
					t.Errorf("%d bytes", len(line))
				}
				if st.Cut == 0 && st.Dropped.Invalid == 0 && utf8.ValidString(userID+"|"+eventID+"|"+topic) {
					sameJSON(t, bySDK(t, items[i]), line)
				} else {
					texts(t, line) // it is JSON
				}
			}
		})
	})
}
