package functions_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
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

// A check may take two seconds even if its caller disconnects, because others share the result. A client that leaves
// does not wait for the check that another one's request makes.
func TestHealthIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var op trace.Operation
		checks := 0
		gone, leave := context.WithCancel(t.Context())
		p := serving(t, &parts{want: "unhealthy", check: func(ctx context.Context) error {
			op, checks = trace.FromContext(ctx), checks+1
			leave()
			<-ctx.Done()
			return ctx.Err()
		}})
		start := time.Now()
		var group sync.WaitGroup
		r := health(t).WithContext(gone)
		r.Header.Set("X-Azure-Functions-InvocationId", "6b1a")
		for _, r := range []*http.Request{r, health(t), health(t), health(t)} {
			group.Go(func() { p.serve(r).wantHealth(t, http.StatusServiceUnavailable) })
			synctest.Wait()
		}
		left, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		p.serve(health(t).WithContext(left))
		if waited := time.Since(start); waited != 100*time.Millisecond {
			t.Errorf("it waited %v", waited)
		}
		group.Wait()
		if took := time.Since(start); took != 2*time.Second || checks != 1 || op.Name != "Health" || op.InvocationID != "6b1a" {
			t.Errorf("%d checks took %v, the first one's operation is %+v", checks, took, op)
		}
	})
}
