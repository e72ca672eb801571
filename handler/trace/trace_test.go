package trace_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"userrelay/handler/trace"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
)

// TestStart has a trace's flags for each sound traceparent, and a new trace for the others.
func TestStart(t *testing.T) {
	t.Parallel()
	const ids = traceID + "-" + spanID
	for traceparent, flags := range map[string]string{
		"00-" + ids + "-01":                    "01",
		"00-" + ids + "-00":                    "00",
		"00-" + ids + "-03":                    "03",
		"00-" + ids + "-fd":                    "01", // flags that are not defined
		"01-" + ids + "-01-what-comes":         "01",
		"01-" + ids + "-01-":                   "01",
		"":                                     "",
		"00-" + ids + "-0":                     "",
		"00-" + ids + "-01-":                   "", // long for version 00
		"01-" + ids + "-01x":                   "",
		"ff-" + ids + "-01":                    "",
		"00-" + ids + "-0.":                    "",
		"00_" + ids + "-01":                    "",
		"00-" + traceID + "_" + spanID + "-01": "",
		"00-" + ids + "_01":                    "",
		" 00-" + ids + "-01":                   "",
		"00-" + ids + "-01,00-" + ids + "-01":  "",
		"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01":  "",
		"00-" + strings.ToUpper(traceID) + "-" + spanID + "-01": "",
		"00-0af7651916cd43dd_448eb211c80319c-" + spanID + "-01": "",
		"00-" + strings.Repeat("ż", 16) + "-" + spanID + "-01":  "",
		"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01": "",
		"00-" + traceID + "-" + strings.ToUpper(spanID) + "-01": "",
		"00-" + traceID + "-b7ad6b71 9203331-01":                "",
	} {
		op := trace.Start(traceparent, "a=1")
		want := operation(flags, "a=1")
		if flags == "" {
			again := trace.Start(traceparent, "")
			if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(op.TraceID) || op.TraceID == traceID || op.TraceID == again.TraceID || op.Traceparent() != "" {
				t.Errorf("%s: got %+v and %+v, want new traces", traceparent, op, again)
			}
			want = trace.Operation{TraceID: op.TraceID, Flags: "01"} // the state belongs to the trace that is dropped
		}
		if op != want {
			t.Errorf("%s: got %+v, want %+v", traceparent, op, want)
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k=v,", 128) // 512 characters
	for state, want := range map[string]string{
		"rojo=00f067aa0ba902b7,congo=t61r": "rojo=00f067aa0ba902b7,congo=t61r",
		"  a=1, b=2 ":                      "a=1, b=2",
		long:                               long,
		long + "k":                         "",
		"a=1\r\nX: y":                      "",
		"a=\x7f":                           "",
		"a=ż":                              "",
		"a=\xff":                           "",
	} {
		if got := trace.Start("00-"+traceID+"-"+spanID+"-01", state); got != operation("01", want) {
			t.Errorf("%q: got %+v, want the state %q", state, got, want)
		}
	}
}

func operation(flags, state string) trace.Operation {
	return trace.Operation{TraceID: traceID, SpanID: spanID, Flags: flags, State: state}
}

// An operation is passed on to children, and through contexts.
func TestChild(t *testing.T) {
	t.Parallel()
	parent := operation("01", "a=1")
	parent.InvocationID, parent.Name = "inv", "RegisterUser"
	child, sibling := parent.Child(), parent.Child()
	want := parent
	want.SpanID = child.SpanID
	if child != want || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(child.SpanID) || child.SpanID == spanID || child.SpanID == sibling.SpanID {
		t.Errorf("children %+v and %+v of %+v", child, sibling, parent)
	}
	if got, want := child.Traceparent(), "00-"+traceID+"-"+child.SpanID+"-01"; got != want {
		t.Errorf("traceparent = %q, want %q", got, want)
	}
	if got := (trace.Operation{}).Child().Traceparent(); got != "" {
		t.Errorf("traceparent = %q of an operation without a trace", got)
	}
	if got := trace.FromContext(context.WithoutCancel(trace.NewContext(t.Context(), parent))); got != parent {
		t.Errorf("the context has %+v, want %+v", got, parent)
	}
	if fresh := trace.FromContext(t.Context()); len(fresh.TraceID) != 32 || fresh.SpanID != "" || fresh.Flags != "01" {
		t.Errorf("operation of a context that has none = %+v, want a new trace", fresh)
	}
}

// FuzzTraceparent checks that for any input the outgoing traceparent is valid for the next program.
func FuzzTraceparent(f *testing.F) {
	valid := "00-" + traceID + "-" + spanID + "-01"
	for _, seed := range []string{
		valid, valid + "-", "01" + valid[2:] + "-more", "ff" + valid[2:], "cc" + valid[2:53] + "ff", strings.ToUpper(valid), valid[:54], "",
	} {
		f.Add(seed, "rojo=00f067aa0ba902b7")
	}
	sound := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$`)
	f.Fuzz(func(t *testing.T, traceparent, tracestate string) {
		child := trace.Start(traceparent, tracestate).Child()
		out := child.Traceparent()
		if !sound.MatchString(out) {
			t.Fatalf("traceparent = %q", out)
		}
		if len(child.State) > 512 || strings.ContainsFunc(child.State, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("tracestate = %q", child.State)
		}
		if again := trace.Start(out, child.State); again != child {
			t.Errorf("read again: %+v, want %+v", again, child)
		}
	})
}
