package insights_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
)

type secretive struct{ text string }

func (s secretive) String() string   { return s.text }
func (s secretive) GoString() string { return s.text }

// A panic's value may hold any data. Its type is reported, and its text only for runtime errors, which hold no data.
func TestPanicValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		explode func(none []string, m map[string]int)
		want    string // in the item and in the line
	}{
		"string":       {func([]string, map[string]int) { panic(private) }, "string"},
		"error":        {func([]string, map[string]int) { panic(errors.New(private)) }, "*errors.errorString"},
		"stringer":     {func([]string, map[string]int) { panic(secretive{private}) }, "insights_test.secretive"},
		"pointer":      {func([]string, map[string]int) { panic(&secretive{private}) }, "*insights_test.secretive"},
		"delivery":     {func([]string, map[string]int) { panic(failedWith(delivery.Fatal)) }, "*fmt.wrapError"},
		"bytes":        {func([]string, map[string]int) { panic([]byte(private)) }, "[]uint8"},
		"out of range": {func(none []string, _ map[string]int) { panic(none[len(private)]) }, "runtime error: index out of range [20] with length 0"},
		"nil map":      {func(_ []string, m map[string]int) { m[private] = 1 }, "assignment to entry in nil map"},
		"wrong type": {func([]string, map[string]int) {
			panic(any(secretive{private}).(error)) //nolint:errcheck // this is the fault
		}, "interface conversion: insights_test.secretive is not error: missing method Error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var line bytes.Buffer
			sink := &itemSink{}
			telemetry := telemetryOf(sink, slog.New(slog.NewTextHandler(&line, nil)), false)
			func() {
				defer func() {
					telemetry.Panicked(invokedContext(t), recover(), []byte("goroutine 1 [running]:\nmain.main()"))
				}()
				c.explode(nil, nil)
			}()
			got := sink.told(t)
			if len(got) != 1 || got[0].Kind != "exception" || got[0].Severity != contracts.Error || !strings.Contains(got[0].Text, c.want) ||
				got[0].Properties["InvocationId"] != "6b1a" {
				t.Errorf("items %+v, want one exception with %q", got, c.want)
			}
			if !strings.Contains(line.String(), c.want) || !strings.Contains(line.String(), `stack="goroutine 1 [running]:\nmain.main()"`) {
				t.Errorf("line %s, want %q and the stack in it", &line, c.want)
			}
			if text := fmt.Sprintf("%+v", got) + line.String(); strings.Contains(text, private) {
				t.Errorf("the value is told: %s", text)
			}
			_, data := decode(t, sink.lines[0])
			exception, ok := data.(*contracts.ExceptionData)
			if !ok || !leadsTo(exception.Exceptions[0].ParsedStack, "TestPanicValues") || !exception.Exceptions[0].HasFullStack {
				t.Error("the item's stack does not lead to the panic")
			}
		})
	}
}

func leadsTo(frames []*contracts.StackFrame, method string) bool {
	for _, f := range frames {
		if strings.Contains(f.Method, method) {
			return true
		}
	}
	return false
}
