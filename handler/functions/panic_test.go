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
	fault := false
	p := &parts{
		want: "panicked panicked",
		deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
			if fault {
				return outcome(e), []error{}[len(e.ID)]
			}
			return outcome(e), nil
		},
		check: func(context.Context) error {
			if fault {
				panic(marker)
			}
			return nil
		},
		panicked: func(ctx context.Context, value any, stack []byte) {
			op := trace.FromContext(ctx)
			if _, isRuntime := value.(error); isRuntime != (op.Name == "RegisterUser") || op.Name == "Health" && value != marker {
				t.Errorf("value %v of %s", value, op.Name)
			}
			if !strings.Contains(string(stack), "TestPanicCostsOneRequest") || op.InvocationID != "6b1a" {
				t.Errorf("operation %+v; does the stack lead to the panic?\n%s", op, stack)
			}
		},
	}
	serving(t, p)
	for _, fault = range []bool{true, false} {
		for _, r := range []*http.Request{post(t), health(t)} {
			r.Header.Set("X-Azure-Functions-InvocationId", "6b1a")
			got := p.serve(r)
			if !fault {
				if got.status != http.StatusOK {
					t.Errorf("afterwards: answer %d %s", got.status, got.body)
				}
				continue
			}
			const want = `{"type":"urn:userrelay:problem:internal","title":"Internal Server Error","status":500,` +
				`"detail":"An internal error occurred. It was recorded."}`
			if got.wantProblem(t, http.StatusInternalServerError, "internal"); got.body != want {
				t.Errorf("answer %s, want %s", got.body, want)
			}
		}
	}
}

// If a panic interrupts an answer, or a function cuts its connection on purpose, the server gets http.ErrAbortHandler,
// upon which it sends nothing more. Only a real panic is told.
func TestPanicAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		told    string
		deliver func(context.Context, registration.Event) (relay.Outcome, error)
	}{
		"a fault":           {"panicked", nil},
		"an aborted answer": {"", func(context.Context, registration.Event) (relay.Outcome, error) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serving(t, &parts{want: c.told, deliver: c.deliver})
			defer func() {
				if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // it must be that very value
					t.Errorf("panic with %v, want http.ErrAbortHandler, which the server knows", v)
				}
			}()
			p.ServeHTTP(faulty{httptest.NewRecorder()}, post(t))
		})
	}
}

// faulty is a writer that panics at the body.
type faulty struct{ *httptest.ResponseRecorder }

func (faulty) Write([]byte) (int, error) { panic(marker) }
