package functions_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/functions"
	"userrelay/handler/trace"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	for body, paths := range map[string][]string{ // "": there is no such function
		"userrelay\n": {"/", "/?a=b"},
		storedJSON("e-1"): {
			register, register + "/", "/API/REGISTERUSER", "/Api/registeruser/", "/api/Register%55ser", register + "?code=x", register + "/?code=/",
			register + "?a=%2F",
		},
		`{"status":"ok"}`: {"/api/Health", "/api/health/", "/API/HEALTH?x"},
		`{}`:              {"/api/Version", "/API/version/"},
		"": {
			"/api%2FVersion", "//", "/api", "/api/", "/api//RegisterUser", "//api/RegisterUser", register + "//", "/api/./RegisterUser",
			"/api/x/../RegisterUser", register + "/x", register + "/Health", register + "x", "/api/RegisterUse", "/api%2fRegisterUser",
			register + "%2F", register + "/%2F", "/%2F", register + "%20", register + "%00", "/api\\RegisterUser", "/RegisterUser", "/Health",
			"/admin/host/status", "/" + marker, register + "%EF%BC%8F", // a full-width slash
		},
	} {
		for _, path := range paths {
			method := http.MethodPost
			if body != "" && body != storedJSON("e-1") {
				method = http.MethodGet
			}
			got := serving(t, &parts{}).serve(request(t, method, path, strings.NewReader(simple)))
			if body == "" {
				got.wantProblem(t, http.StatusNotFound, "not-found")
			} else if got.status != http.StatusOK || got.body != body || got.header.Get("Location") != "" {
				t.Errorf("%s: answer %d %q %v, want 200 %q", path, got.status, got.body, got.header, body)
			}
		}
	}
	r := request(t, http.MethodGet, "/", nil)
	r.URL = &url.URL{Scheme: "http", Host: "127.0.0.1"} // some clients send the full URL, which may have no path
	if got := serving(t, &parts{}).serve(r); got.body != "userrelay\n" {
		t.Errorf("answer %d %q", got.status, got.body)
	}
}

// The version function answers which program runs. It makes no request and reports nothing.
func TestVersion(t *testing.T) {
	t.Parallel()
	p := serving(t, &parts{
		check: func(context.Context) error { t.Error("Kafka was asked"); return nil },
		build: func() functions.Build { return functions.Build{Commit: "c51b745+changed", SHA256: "0a"} },
	})
	p.serve(request(t, http.MethodGet, "/api/Version", nil)).want(t, http.StatusOK, `{"commit":"c51b745+changed","sha256":"0a"}`)
}

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
