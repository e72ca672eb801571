package insights_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
)

type secretive struct{ text string }

func (s secretive) String() string   { return s.text }
func (s secretive) GoString() string { return s.text }

// A panic's value may hold any data. Its type is reported, and its text only for runtime errors, which hold no data.
func TestPanicValues(t *testing.T) {
	t.Parallel()
	var (
		none    []string
		nothing map[string]int
	)
	for want, explode := range map[string]func(){ // want is in the item and in the line
		"string":                   func() { panic(private) },
		"*errors.errorString":      func() { panic(errors.New(private)) },
		"insights_test.secretive":  func() { panic(secretive{private}) },
		"*insights_test.secretive": func() { panic(&secretive{private}) },
		"*fmt.wrapError":           func() { panic(failedWith(delivery.Fatal)) },
		"runtime error: index out of range [20] with length 0": func() { panic(none[len(private)]) },
		"assignment to entry in nil map":                       func() { nothing[private] = 1 },
		"interface conversion: insights_test.secretive is not error: missing method Error": func() {
			panic(any(secretive{private}).(error)) //nolint:errcheck // this is the fault
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			var line bytes.Buffer
			sink := &itemSink{}
			telemetry := insights.New(configOf(sink, slog.New(slog.NewTextHandler(&line, nil))))
			func() {
				defer func() {
					telemetry.Panicked(invokedContext(t), recover(), []byte("goroutine 1 [running]:\nmain.main()"))
				}()
				explode()
			}()
			got := sink.told(t)
			if len(got) != 1 || got[0].Kind != "exception" || got[0].Severity != contracts.Error || !strings.Contains(got[0].Text, want) ||
				got[0].Properties["InvocationId"] != "6b1a" {
				t.Errorf("items %+v, want one exception with %q", got, want)
			}
			if !strings.Contains(line.String(), want) || !strings.Contains(line.String(), `stack="goroutine 1 [running]:\nmain.main()"`) {
				t.Errorf("line %s, want %q and the stack in it", &line, want)
			}
			if text := sink.lines[0] + line.String(); strings.Contains(text, private) {
				t.Errorf("the value is told: %s", text)
			}
			_, data := decode(t, sink.lines[0])
			exception, ok := data.(*contracts.ExceptionData)
			if !ok || !exception.Exceptions[0].HasFullStack || !slices.ContainsFunc(exception.Exceptions[0].ParsedStack,
				func(f *contracts.StackFrame) bool { return strings.Contains(f.Method, "TestPanicValues") }) {
				t.Error("the item's stack does not lead to the panic")
			}
		})
	}
}
