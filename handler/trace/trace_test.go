package trace_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		if diff := cmp.Diff(want, op); diff != "" {
			t.Errorf("%s: operation (-want +got):\n%s", traceparent, diff)
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k=v,", 127) + "k=v," // 512 characters
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
		if diff := cmp.Diff(operation("01", want), trace.Start("00-"+traceID+"-"+spanID+"-01", state)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", state, diff)
		}
	}
}

func operation(flags, state string) trace.Operation {
	return trace.Operation{TraceID: traceID, SpanID: spanID, Flags: flags, State: state}
}

func TestChild(t *testing.T) {
	t.Parallel()
	parent := operation("01", "a=1")
	parent.InvocationID, parent.Name = "inv", "RegisterUser"
	child, sibling := parent.Child(), parent.Child()
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(child.SpanID) || child.SpanID == parent.SpanID || child.SpanID == sibling.SpanID {
		t.Errorf("spans: parent %q, children %q and %q, want three", parent.SpanID, child.SpanID, sibling.SpanID)
	}
	want := parent
	want.SpanID = child.SpanID
	if diff := cmp.Diff(want, child); diff != "" {
		t.Errorf("child (-want +got):\n%s", diff)
	}
	if got, want := child.Traceparent(), "00-"+traceID+"-"+child.SpanID+"-01"; got != want {
		t.Errorf("traceparent = %q, want %q", got, want)
	}
	if parent.SpanID != spanID {
		t.Errorf("the parent's span became %q", parent.SpanID)
	}
	if got := (trace.Operation{}).Child().Traceparent(); got != "" {
		t.Errorf("traceparent = %q of an operation without a trace", got)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	op := operation("00", "a=1")
	op.InvocationID, op.Name = "inv", "RegisterUser"
	ctx := trace.NewContext(t.Context(), op)
	if diff := cmp.Diff(op, trace.FromContext(context.WithoutCancel(ctx))); diff != "" {
		t.Errorf("operation (-want +got):\n%s", diff)
	}
	fresh := trace.FromContext(t.Context())
	if len(fresh.TraceID) != 32 || fresh.SpanID != "" || fresh.Flags != "01" {
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
