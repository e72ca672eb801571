package functions_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/trace"
)

func TestPanicCostsOneRequest(t *testing.T) {
	t.Parallel()
	cause := errors.New(marker)
	for name, value := range map[string]any{
		"string": marker, "error": cause, "wrapped": fmt.Errorf("deliver: %w", cause), "struct": struct{ s string }{marker}, "number": 7,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told, broken := 0, true
			p := &parts{
				deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
					if broken {
						panic(value)
					}
					return outcome(e), nil
				},
				panicked: func(ctx context.Context, got any, stack []byte) {
					told++
					if got != value {
						t.Errorf("value %v, want %v", got, value)
					}
					if !strings.Contains(string(stack), "TestPanicCostsOneRequest") {
						t.Errorf("the stack does not lead to the panic:\n%s", stack)
					}
					if op := trace.FromContext(ctx); op.InvocationID != "6b1a" || op.Name != "RegisterUser" {
						t.Errorf("operation %+v", op)
					}
				},
			}
			h := p.handler(t)
			r := post(t)
			r.Header.Set("X-Azure-Functions-InvocationId", "6b1a")
			got := serve(t, h, r)
			const want = `{"type":"urn:userrelay:problem:internal","title":"Internal Server Error","status":500,` +
				`"detail":"An internal error occurred. It was recorded."}`
			if got.wantProblem(t, http.StatusInternalServerError, "internal"); got.body != want {
				t.Errorf("answer %s, want %s", got.body, want)
			}
			if told != 1 {
				t.Errorf("told %d times, want once", told)
			}
			broken = false
			serve(t, h, post(t)).wantStored(t, "e-1")
		})
	}
}

// A runtime error is handled like other panics, and a request that panics releases its place.
func TestPanicGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	told, broken := 0, true
	p := &parts{
		deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
			if broken {
				return outcome(e), []error{}[len(e.ID)]
			}
			return outcome(e), nil
		},
		panicked: func(context.Context, any, []byte) { told++ },
	}
	h := p.handler(t)
	const limit = 2000
	for range limit + 1 {
		serve(t, h, post(t)).wantProblem(t, http.StatusInternalServerError, "internal")
	}
	if told != limit+1 {
		t.Errorf("told %d times, want %d", told, limit+1)
	}
	broken = false
	serve(t, h, post(t)).wantStored(t, "e-1")
}

func TestPanicInTheHealthCheck(t *testing.T) {
	t.Parallel()
	told, broken := 0, true
	p := &parts{
		check: func(context.Context) error {
			if broken {
				panic(marker)
			}
			return nil
		},
		panicked: func(context.Context, any, []byte) { told++ },
	}
	h := p.handler(t)
	serve(t, h, health(t)).wantProblem(t, http.StatusInternalServerError, "internal")
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
	broken = false
	serve(t, h, health(t)).wantHealth(t, http.StatusOK)
}

// http.ErrAbortHandler cuts a connection on purpose: it is not reported, and reaches the server.
func TestAbortGoesOn(t *testing.T) {
	t.Parallel()
	p := &parts{deliver: func(context.Context, registration.Event) (relay.Outcome, error) { panic(http.ErrAbortHandler) }}
	wantCut(t, p.handler(t))
}

// If a panic interrupts an answer, the connection is cut.
func TestPanicAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faulty{
		"in its header":          {inHeader: true},
		"after its header":       {},
		"after some of its body": {after: 10},
		"after more of its body": {after: 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := 0
			p := &parts{panicked: func(_ context.Context, value any, _ []byte) {
				told++
				if value != marker {
					t.Errorf("value %v", value)
				}
			}}
			h := p.handler(t)
			wantCut(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() {
					v := recover()
					if v != http.ErrAbortHandler { //nolint:errorlint // it must be that very value
						t.Errorf("panic with %v, want http.ErrAbortHandler, which the server knows", v)
					}
					panic(v)
				}()
				writer := fault
				writer.ResponseWriter = w
				h.ServeHTTP(&writer, r)
			}))
			if told != 1 {
				t.Errorf("told %d times, want once", told)
			}
		})
	}
}

// faulty is a writer that panics at the header, or in the body after sending some bytes.
type faulty struct {
	http.ResponseWriter
	inHeader bool
	after    int
}

func (w *faulty) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	if w.inHeader {
		panic(marker)
	}
}

func (w *faulty) Write(b []byte) (int, error) {
	_, _ = w.ResponseWriter.Write(b[:w.after])
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	panic(marker)
}

// wantCut posts a registration to the handler and checks that no complete answer arrives.
func wantCut(t *testing.T, h http.Handler) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+register, post(t).Body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	var got strings.Builder
	if err := res.Write(&got); err == nil {
		t.Errorf("a whole answer came: %s", got.String())
	}
}
