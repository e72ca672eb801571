package functions_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/trace"
)

func TestMethods(t *testing.T) {
	t.Parallel()
	get, post := []string{"GET", "HEAD"}, []string{"POST"}
	for path, allowed := range map[string][]string{
		"/": get, register: post, "/api/Health": get, "/api/Version": get, "/api/registeruser/": post, drain: post,
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", marker} {
			if slices.Contains(allowed, method) {
				continue // as in TestRoutes
			}
			got := serving(t, &parts{}).serve(request(t, method, path, unwanted(t)))
			detail := got.wantProblem(t, http.StatusMethodNotAllowed, "method-not-allowed")
			if want := "The method must be " + strings.Join(allowed, " or ") + "."; detail != want {
				t.Errorf("detail = %q, want %q", detail, want)
			}
			if got := got.header.Get("Allow"); got != strings.Join(allowed, ", ") {
				t.Errorf("Allow = %q, want %q", got, allowed)
			}
		}
	}
	for _, path := range []string{"/", "/api/Health", "/api/Version"} {
		if got := serving(t, &parts{}).serve(request(t, http.MethodHead, path, nil)); got.status != http.StatusOK {
			t.Errorf("HEAD %s: answer %d", path, got.status)
		}
	}
}

// The context of a function has the invocation from the host's headers.
func TestInvocation(t *testing.T) {
	t.Parallel()
	const id, traceparent = "X-Azure-Functions-Invocationid", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct {
		header       http.Header
		traced       bool
		state, invID string
	}{
		{http.Header{}, false, "", ""},
		{http.Header{"Traceparent": {traceparent}, "Tracestate": {"a=1", "b=2"}}, true, "a=1,b=2", ""},
		{http.Header{"Tracestate": {"a=1"}}, false, "", ""},
		{http.Header{"Traceparent": {marker}, "Tracestate": {"a=1"}}, false, "", ""},
		{http.Header{id: {"6b1a"}}, false, "", "6b1a"},
		{http.Header{id: {"mine, his, 6b1a"}}, false, "", "6b1a"}, // the host appends its own to a caller's
		{http.Header{id: {"mine", " 6b1a "}}, false, "", "6b1a"},
		{http.Header{id: {strings.Repeat("i", 64)}}, false, "", strings.Repeat("i", 64)},
		{http.Header{id: {strings.Repeat("i", 65)}}, false, "", ""},
		{http.Header{id: {"ż"}}, false, "", ""},
		{http.Header{id: {"a b"}}, false, "", ""},
		{http.Header{id: {"mine,"}}, false, "", ""},
	} {
		var got trace.Operation
		p := serving(t, &parts{deliver: func(ctx context.Context, e registration.Event) (relay.Outcome, error) {
			got = trace.FromContext(ctx)
			return outcome(e), nil
		}})
		r := post(t)
		r.Header = c.header
		p.serve(r).wantStored(t)
		want := trace.Operation{TraceID: got.TraceID, Flags: "01", State: c.state, Name: "RegisterUser", InvocationID: c.invID}
		if c.traced {
			want.TraceID, want.SpanID = traceparent[3:35], traceparent[36:52]
		}
		if got != want || len(got.TraceID) != 32 {
			t.Errorf("%v: operation %+v, want %+v", c.header, got, want)
		}
	}
}

// A panic costs one request, and is told with its value, its stack and its operation.
func TestPanicCostsOneRequest(t *testing.T) {
	t.Parallel()
	p := serving(t, &parts{
		want: "panicked panicked",
		deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
			return outcome(e), []error{}[len(e.ID)]
		},
		check: func(context.Context) error { panic(marker) },
		panicked: func(ctx context.Context, value any, stack []byte) {
			op := trace.FromContext(ctx)
			if _, isRuntime := value.(error); isRuntime != (op.Name == "RegisterUser") || op.Name == "Health" && value != marker {
				t.Errorf("value %v of %s", value, op.Name)
			}
			if !strings.Contains(string(stack), "TestPanicCostsOneRequest") || op.InvocationID != "6b1a" {
				t.Errorf("operation %+v; does the stack lead to the panic?\n%s", op, stack)
			}
		},
	})
	for _, r := range []*http.Request{post(t), health(t)} {
		r.Header.Set("X-Azure-Functions-InvocationId", "6b1a")
		const want = "An internal error occurred. It was recorded."
		if detail := p.serve(r).wantProblem(t, http.StatusInternalServerError, "internal"); detail != want {
			t.Errorf("detail %q, want %q", detail, want)
		}
	}
	p.deliver, p.check = nil, nil
	p.serve(post(t)).wantStored(t)
	p.serve(health(t)).wantHealth(t, http.StatusOK)
}

// If a panic interrupts an answer, or a function cuts its connection on purpose, the server gets http.ErrAbortHandler,
// upon which it sends nothing more. Only a real panic is told.
func TestPanicAfterTheAnswerBegan(t *testing.T) {
	type row struct {
		told    string
		deliver delivering
	}
	each(t, map[string]row{
		"a fault":           {"panicked", nil},
		"an aborted answer": {"", func(context.Context, registration.Event) (relay.Outcome, error) { panic(http.ErrAbortHandler) }},
	}, func(t *testing.T, c row) {
		t.Helper()
		defer func() {
			if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // it must be that very value
				t.Errorf("panic with %v, want http.ErrAbortHandler, which the server knows", v)
			}
		}()
		serving(t, &parts{want: c.told, deliver: c.deliver}).ServeHTTP(faulty{httptest.NewRecorder()}, post(t))
	})
}

// faulty is a writer that panics at the body.
type faulty struct{ *httptest.ResponseRecorder }

func (faulty) Write([]byte) (int, error) { panic(marker) }
