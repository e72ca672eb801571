package functions_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
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

// The version function answers which program runs. It makes no request and reports nothing.
func TestVersion(t *testing.T) {
	t.Parallel()
	p := serving(t, &parts{
		check: func(context.Context) error { t.Error("Kafka was asked"); return nil },
		build: func() functions.Build { return functions.Build{Commit: "c51b745+changed", SHA256: "0a"} },
	})
	p.serve(request(t, http.MethodGet, "/api/Version", nil)).want(t, http.StatusOK, `{"commit":"c51b745+changed","sha256":"0a"}`)
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
