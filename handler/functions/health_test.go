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

	"userrelay/handler/trace"
)

func health(t *testing.T) *http.Request {
	t.Helper()
	return request(t, http.MethodGet, "/api/Health", nil)
}

func (a answer) wantHealth(t *testing.T, status int) {
	t.Helper()
	a.want(t, status, map[int]string{http.StatusOK: `{"status":"ok"}`, http.StatusServiceUnavailable: `{"status":"degraded"}`}[status])
}

// Kafka is checked once a second at most, and each change is reported once, also that Kafka is unavailable at the start.
func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New(marker)
		var kafka error
		checks := 0
		p := serving(t, &parts{
			check: func(context.Context) error { checks++; return kafka },
			want:  "unhealthy healthy unhealthy healthy",
		})
		for i, step := range []struct {
			wait   time.Duration
			kafka  error
			status int
			checks int
			told   string
		}{
			{0, down, 503, 1, "unhealthy"},
			{0, nil, 503, 1, "unhealthy"},
			{time.Second - 1, nil, 503, 1, "unhealthy"},
			{1, down, 503, 2, "unhealthy"},
			{time.Hour, down, 503, 3, "unhealthy"},
			{time.Second, nil, 200, 4, "unhealthy healthy"},
			{time.Second - 1, down, 200, 4, "unhealthy healthy"},
			{1, nil, 200, 5, "unhealthy healthy"},
			{time.Second, down, 503, 6, "unhealthy healthy unhealthy"},
			{time.Second, nil, 200, 7, "unhealthy healthy unhealthy healthy"},
		} {
			<-time.After(step.wait)
			kafka = step.kafka
			p.serve(health(t)).wantHealth(t, step.status)
			if checks != step.checks || p.tells() != step.told {
				t.Errorf("step %d: %d checks, told %q, want %d and %q", i, checks, p.tells(), step.checks, step.told)
			}
		}
	})
}

// Requests during a check share its result.
func TestHealthIsShared(t *testing.T) {
	t.Parallel()
	for status, c := range map[int]struct {
		err  error
		told string
	}{200: {nil, ""}, 503: {errors.New("away"), "unhealthy"}} {
		synctest.Test(t, func(t *testing.T) { // for its clock, which stands still while there is work
			const callers = 50
			var begun, group sync.WaitGroup
			begun.Add(callers)
			var checks atomic.Int64
			p := serving(t, &parts{want: c.told, check: func(context.Context) error {
				checks.Add(1)
				begun.Wait()
				for range 1000 { // the others have begun; wait until they block
					runtime.Gosched()
				}
				return c.err
			}})
			for range callers {
				r := health(t)
				group.Go(func() {
					begun.Done()
					p.serve(r).wantHealth(t, status)
				})
			}
			group.Wait()
			if checks.Load() != 1 {
				t.Errorf("%d checks", checks.Load())
			}
		})
	}
}

// A check may take two seconds even if its caller disconnects, because others share the result. A client that leaves
// does not wait for the check that another one's request makes.
func TestHealthIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var op trace.Operation
		gone, leave := context.WithCancel(t.Context())
		p := serving(t, &parts{want: "unhealthy", check: func(ctx context.Context) error {
			op = trace.FromContext(ctx)
			leave()
			<-ctx.Done()
			return ctx.Err()
		}})
		start := time.Now()
		var first sync.WaitGroup
		r := health(t).WithContext(gone)
		r.Header.Set("X-Azure-Functions-InvocationId", "6b1a")
		first.Go(func() { p.serve(r).wantHealth(t, http.StatusServiceUnavailable) })
		synctest.Wait()
		left, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		p.serve(health(t).WithContext(left))
		if waited := time.Since(start); waited != 100*time.Millisecond {
			t.Errorf("it waited %v", waited)
		}
		first.Wait()
		if took := time.Since(start); took != 2*time.Second || op.Name != "Health" || op.InvocationID != "6b1a" {
			t.Errorf("took %v, the check's operation is %+v", took, op)
		}
	})
}
