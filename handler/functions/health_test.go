package functions_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/trace"
)

func (a answer) wantHealth(t *testing.T, status int) {
	t.Helper()
	want := map[int]string{http.StatusOK: `{"status":"ok"}`, http.StatusServiceUnavailable: `{"status":"degraded"}`}[status]
	if a.status != status || a.body != want {
		t.Errorf("answer %d %s, want %d %s", a.status, a.body, status, want)
	}
	a.wantHeaders(t, "application/json")
	a.wantNoEcho(t)
}

func health(t *testing.T) *http.Request {
	t.Helper()
	return request(t, http.MethodGet, "/api/Health", nil)
}

// Kafka is checked once a second at most, and each change is reported once.
func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := &delivery.Error{Class: delivery.Unavailable, Op: "ask", Err: errors.New(marker)}
		var kafka error
		checks, changes := 0, ""
		p := &parts{
			check:     func(context.Context) error { checks++; return kafka },
			unhealthy: func(_ context.Context, err error) { changes += "-"; wantErr(t, err, down) },
			healthy:   func(context.Context) { changes += "+" },
		}
		h := p.handler(t)
		for i, step := range []struct {
			wait    time.Duration
			kafka   error
			status  int
			checks  int
			changes string
		}{
			{0, nil, 200, 1, ""},
			{0, down, 200, 1, ""},
			{time.Second - 1, down, 200, 1, ""},
			{1, down, 503, 2, "-"},
			{time.Second - 1, nil, 503, 2, "-"},
			{1, down, 503, 3, "-"},
			{time.Hour, down, 503, 4, "-"},
			{time.Second, nil, 200, 5, "-+"},
			{time.Second, nil, 200, 6, "-+"},
			{time.Second, down, 503, 7, "-+-"},
			{time.Second, nil, 200, 8, "-+-+"},
		} {
			<-time.After(step.wait)
			kafka = step.kafka
			serve(t, h, health(t)).wantHealth(t, step.status)
			if checks != step.checks || changes != step.changes {
				t.Errorf("step %d: %d checks, changes %q, want %d and %q", i, checks, changes, step.checks, step.changes)
			}
		}
	})
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}

// A handler that starts while Kafka is unavailable reports that at the first check.
func TestHealthAtStart(t *testing.T) {
	t.Parallel()
	told := 0
	p := &parts{
		check:     func(context.Context) error { return errors.New(marker) },
		unhealthy: func(context.Context, error) { told++ },
	}
	h := p.handler(t)
	serve(t, h, health(t)).wantHealth(t, http.StatusServiceUnavailable)
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// Requests during a check share its result.
func TestHealthIsShared(t *testing.T) {
	t.Parallel()
	for status, kafka := range map[int]error{200: nil, 503: errors.New("away")} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // for its clock, which stands still while there is work
				const callers = 50
				var begun, group sync.WaitGroup
				begun.Add(callers)
				var checks, told atomic.Int64
				p := &parts{
					check: func(context.Context) error {
						checks.Add(1)
						begun.Wait()
						for range 1000 { // the others have begun; wait until they block
							runtime.Gosched()
						}
						return kafka
					},
					unhealthy: func(context.Context, error) { told.Add(1) },
				}
				h := p.handler(t)
				for range callers {
					r := health(t)
					group.Go(func() {
						begun.Done()
						serve(t, h, r).wantHealth(t, status)
					})
				}
				group.Wait()
				if checks.Load() != 1 || told.Load() != map[int]int64{200: 0, 503: 1}[status] {
					t.Errorf("%d checks, told %d times", checks.Load(), told.Load())
				}
			})
		})
	}
}

// A check may take two seconds even if its caller disconnects, because others share the result.
func TestHealthCheckHasItsOwnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var op trace.Operation
		gone, leave := context.WithCancel(t.Context())
		p := &parts{
			check: func(ctx context.Context) error {
				op = trace.FromContext(ctx)
				leave()
				<-ctx.Done()
				return ctx.Err()
			},
			unhealthy: func(_ context.Context, err error) { wantErr(t, err, context.DeadlineExceeded) },
		}
		h := p.handler(t)
		r := health(t).WithContext(gone)
		r.Header.Set("X-Azure-Functions-InvocationId", "6b1a")
		start := time.Now()
		serve(t, h, r).wantHealth(t, http.StatusServiceUnavailable)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v, want 2 s", took)
		}
		if op.Name != "Health" || op.InvocationID != "6b1a" {
			t.Errorf("the check's operation is %+v", op)
		}
	})
}

// Registrations are stored and the probe is answered regardless of the last health check.
func TestHealthIsNoGate(t *testing.T) {
	t.Parallel()
	p := &parts{check: func(context.Context) error { return errors.New("away") }, unhealthy: func(context.Context, error) {}}
	h := p.handler(t)
	serve(t, h, health(t)).wantHealth(t, http.StatusServiceUnavailable)
	serve(t, h, post(t)).wantStored(t, "e-1")
	if got := serve(t, h, request(t, http.MethodGet, "/", nil)); got.status != http.StatusOK {
		t.Errorf("probe: %d", got.status)
	}
}

// A client that leaves does not wait for the check that another one's request makes.
func TestHealthIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &parts{
			check:     func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			unhealthy: func(context.Context, error) {},
		}
		h := p.handler(t)
		var first sync.WaitGroup
		first.Go(func() { serve(t, h, health(t)) })
		synctest.Wait()
		start := time.Now()
		left, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer leave()
		serve(t, h, health(t).WithContext(left))
		if waited := time.Since(start); waited != 100*time.Millisecond {
			t.Errorf("it waited %v", waited)
		}
		first.Wait()
	})
}
