package insights_test

import (
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"userrelay/handler/insights"
)

// TestTelemetryPage compares the table in docs/telemetry.md with the items: wording, events, properties and error classes.
func TestTelemetryPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	table, _, _ := strings.Cut(page, "\n\nThe property")
	written := regexp.MustCompile(`^(.*?)(?:user-events|"?auth0\||\d|$)`) // the part that is the same for all registrations
	told, sink := map[string]bool{"telemetry-stats": true}, &itemSink{}
	for _, call := range promises() {
		call(t.Context(), telemetryOf(sink, slog.New(slog.DiscardHandler)))
	}
	rows := strings.Split(table, "\n")
	for _, item := range sink.told(t) {
		if item.Kind == "exception" {
			continue
		}
		at := slices.IndexFunc(rows, func(row string) bool {
			return strings.Contains(row, "`"+written.FindStringSubmatch(item.Text)[1])
		})
		if at < 0 {
			t.Errorf("the page does not have %q", item.Text)
			continue
		}
		for key, value := range item.Properties {
			if key == "event" {
				told[value] = true
				key += "=" + value
			}
			if !strings.Contains(rows[at], "`"+key+"`") {
				t.Errorf("the page does not have `%s` in\n%s", key, rows[at])
			}
			if key == "errorClass" && !strings.Contains(page, "`"+value+"`") {
				t.Errorf("the page does not have the class %s", value)
			}
		}
	}
	for _, m := range regexp.MustCompile("`event=([^`]+)`").FindAllStringSubmatch(table, -1) {
		if !told[m[1]] {
			t.Errorf("the page has the event %s, which no item has", m[1])
		}
	}
}

// Each method of Telemetry has an item in promises, and so in the golden file and on the page.
func TestEveryItemIsPromised(t *testing.T) {
	t.Parallel()
	promised := map[string]bool{}
	for name := range promises() {
		name, _, _ = strings.Cut(strings.ReplaceAll(name, ",", ":"), ":")
		promised[strings.ReplaceAll(name, " ", "")] = true
	}
	for method := range reflect.TypeFor[*insights.Telemetry]().Methods() {
		if !promised[strings.ToLower(method.Name)] {
			t.Errorf("promises has none of Telemetry.%s", method.Name)
		}
	}
}
