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

func TestStartTakesASoundTraceparent(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k=v,", 127) + "k=v" // 511 characters
	for name, c := range map[string]struct {
		traceparent, tracestate string
		want                    trace.Operation
	}{
		"sampled":                {"00-" + traceID + "-" + spanID + "-01", "", operation("01", "")},
		"not sampled":            {"00-" + traceID + "-" + spanID + "-00", "", operation("00", "")},
		"random trace id":        {"00-" + traceID + "-" + spanID + "-03", "", operation("03", "")},
		"flags that are not set": {"00-" + traceID + "-" + spanID + "-fd", "", operation("01", "")},
		"newer version":          {"cc-" + traceID + "-" + spanID + "-01", "", operation("01", "")},
		"newer version, more":    {"01-" + traceID + "-" + spanID + "-01-what-comes", "", operation("01", "")},
		"newer version, dash":    {"01-" + traceID + "-" + spanID + "-01-", "", operation("01", "")},
		"state":                  {"00-" + traceID + "-" + spanID + "-01", "rojo=00f067aa0ba902b7,congo=t61r", operation("01", "rojo=00f067aa0ba902b7,congo=t61r")},
		"state in white space":   {"00-" + traceID + "-" + spanID + "-01", "  a=1, b=2 ", operation("01", "a=1, b=2")},
		"longest state":          {"00-" + traceID + "-" + spanID + "-01", long + ",", operation("01", long+",")},
		"state too long":         {"00-" + traceID + "-" + spanID + "-01", long + ",k", operation("01", "")},
		"state with control":     {"00-" + traceID + "-" + spanID + "-01", "a=1\r\nX: y", operation("01", "")},
		"state with DEL":         {"00-" + traceID + "-" + spanID + "-01", "a=\x7f", operation("01", "")},
		"state beyond ASCII":     {"00-" + traceID + "-" + spanID + "-01", "a=ż", operation("01", "")},
		"state not UTF-8":        {"00-" + traceID + "-" + spanID + "-01", "a=\xff", operation("01", "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, trace.Start(c.traceparent, c.tracestate)); diff != "" {
				t.Errorf("operation (-want +got):\n%s", diff)
			}
		})
	}
}

func operation(flags, state string) trace.Operation {
	return trace.Operation{TraceID: traceID, SpanID: spanID, Flags: flags, State: state}
}

func TestStartBeginsANewTraceElse(t *testing.T) {
	t.Parallel()
	for name, traceparent := range map[string]string{
		"none":                  "",
		"short":                 "00-" + traceID + "-" + spanID + "-0",
		"long for version 00":   "00-" + traceID + "-" + spanID + "-01-",
		"newer, no dash":        "01-" + traceID + "-" + spanID + "-01x",
		"version ff":            "ff-" + traceID + "-" + spanID + "-01",
		"version in upper case": "CC-" + traceID + "-" + spanID + "-01",
		"version not hex":       "0g-" + traceID + "-" + spanID + "-01",
		"trace id zero":         "00-" + strings.Repeat("0", 32) + "-" + spanID + "-01",
		"trace id upper case":   "00-" + strings.ToUpper(traceID) + "-" + spanID + "-01",
		"trace id not hex":      "00-0af7651916cd43dd_448eb211c80319c-" + spanID + "-01",
		"span id zero":          "00-" + traceID + "-" + strings.Repeat("0", 16) + "-01",
		"span id upper case":    "00-" + traceID + "-" + strings.ToUpper(spanID) + "-01",
		"span id not hex":       "00-" + traceID + "-b7ad6b71 9203331-01",
		"flags upper case":      "00-" + traceID + "-" + spanID + "-0A",
		"flags not hex":         "00-" + traceID + "-" + spanID + "-0.",
		"no dash 1":             "00_" + traceID + "-" + spanID + "-01",
		"no dash 2":             "00-" + traceID + "_" + spanID + "-01",
		"no dash 3":             "00-" + traceID + "-" + spanID + "_01",
		"space before":          " 00-" + traceID + "-" + spanID + "-01",
		"space after":           "00-" + traceID + "-" + spanID + "-01 ",
		"two of them":           "00-" + traceID + "-" + spanID + "-01,00-" + traceID + "-" + spanID + "-01",
		"not ASCII":             "00-" + strings.Repeat("ż", 16) + "-" + spanID + "-01",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := trace.Start(traceparent, "a=1")
			if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(op.TraceID) || op.TraceID == strings.Repeat("0", 32) || op.TraceID == traceID {
				t.Errorf("trace id = %q, want a new one", op.TraceID)
			}
			want := trace.Operation{TraceID: op.TraceID, Flags: "01"} // the state belongs to the trace that is dropped
			if diff := cmp.Diff(want, op); diff != "" {
				t.Errorf("operation (-want +got):\n%s", diff)
			}
			if got := op.Traceparent(); got != "" {
				t.Errorf("traceparent = %q before there is a span", got)
			}
			if again := trace.Start(traceparent, ""); again.TraceID == op.TraceID {
				t.Errorf("two operations share the trace id %s", op.TraceID)
			}
		})
	}
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
}

func TestTraceparentNeedsATrace(t *testing.T) {
	t.Parallel()
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
