package functions_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/trace"
)

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
		const want = `{"type":"urn:userrelay:problem:internal","title":"Internal Server Error","status":500,` +
			`"detail":"An internal error occurred. It was recorded."}`
		got := p.serve(r)
		if got.wantProblem(t, http.StatusInternalServerError, "internal"); got.body != want {
			t.Errorf("answer %s, want %s", got.body, want)
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
