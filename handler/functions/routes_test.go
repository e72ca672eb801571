package functions_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/trace"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	const healthy, version = `{"status":"ok"}`, `{}`
	for path, want := range map[string]string{ // the answer's body; "" none
		"/":                          "userrelay\n",
		"/?a=b":                      "userrelay\n",
		"/api/RegisterUser":          storedJSON("e-1"),
		"/api/RegisterUser/":         storedJSON("e-1"),
		"/API/REGISTERUSER":          storedJSON("e-1"),
		"/Api/registeruser/":         storedJSON("e-1"),
		"/api/Register%55ser":        storedJSON("e-1"),
		"/api/RegisterUser?code=x":   storedJSON("e-1"),
		"/api/RegisterUser/?code=/":  storedJSON("e-1"),
		"/api/RegisterUser?a=%2F":    storedJSON("e-1"),
		"/api/Health":                healthy,
		"/api/health/":               healthy,
		"/API/HEALTH?x":              healthy,
		"/api/Version":               version,
		"/API/version/":              version,
		"/api%2FVersion":             "",
		"//":                         "",
		"/api":                       "",
		"/api/":                      "",
		"/api//RegisterUser":         "",
		"//api/RegisterUser":         "",
		"/api/RegisterUser//":        "",
		"/api/./RegisterUser":        "",
		"/api/x/../RegisterUser":     "",
		"/api/RegisterUser/x":        "",
		"/api/RegisterUser/Health":   "",
		"/api/RegisterUserx":         "",
		"/api/RegisterUse":           "",
		"/api%2FRegisterUser":        "",
		"/api%2fRegisterUser":        "",
		"/api/RegisterUser%2F":       "",
		"/api/RegisterUser/%2F":      "",
		"/%2F":                       "",
		"/api%2FHealth":              "",
		"/api/RegisterUser%20":       "",
		"/api/RegisterUser%00":       "",
		"/api\\RegisterUser":         "",
		"/RegisterUser":              "",
		"/Health":                    "",
		"/admin/host/status":         "",
		"/favicon.ico":               "",
		"/" + marker:                 "",
		"/api/RegisterUser%EF%BC%8F": "", // a full-width slash
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			method := http.MethodGet
			if !strings.HasPrefix(want, "userrelay") && want != healthy && want != version {
				method = http.MethodPost
			}
			r := post(t)
			body := r.Body
			r = request(t, method, path, body)
			got := serve(t, (&parts{}).handler(t), r)
			if want == "" {
				got.wantProblem(t, http.StatusNotFound, "not-found")
			} else if got.status != http.StatusOK || got.body != want {
				t.Errorf("answer %d %q, want 200 %q", got.status, got.body, want)
			}
			if location := got.header.Get("Location"); location != "" {
				t.Errorf("redirect to %s", location)
			}
		})
	}
}

// Some HTTP/1.1 clients send the full URL, which may have no path.
func TestRouteOfAnEmptyPath(t *testing.T) {
	t.Parallel()
	r := request(t, http.MethodGet, "/", nil)
	r.URL = &url.URL{Scheme: "http", Host: "127.0.0.1"}
	if got := serve(t, (&parts{}).handler(t), r); got.status != http.StatusOK || got.body != "userrelay\n" {
		t.Errorf("answer %d %q", got.status, got.body)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for path, allowed := range map[string]string{"/": "GET, HEAD", register: "POST", "/api/Health": "GET, HEAD", "/api/Version": "GET, HEAD", "/api/registeruser/": "POST"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", marker} {
			t.Run(method+" "+path, func(t *testing.T) {
				t.Parallel()
				ok := strings.Contains(", "+allowed+", ", ", "+method+", ")
				r := request(t, method, path, post(t).Body)
				if !ok {
					r = request(t, method, path, unwanted(t))
				}
				got := serve(t, (&parts{}).handler(t), r)
				if ok {
					if got.status != http.StatusOK || got.header.Get("Allow") != "" {
						t.Errorf("answer %d, Allow %q, want 200", got.status, got.header.Get("Allow"))
					}
					return
				}
				p := got.wantProblem(t, http.StatusMethodNotAllowed, "method-not-allowed")
				if want := "The method must be " + strings.ReplaceAll(allowed, ", ", " or ") + "."; p.Detail != want {
					t.Errorf("detail = %q, want %q", p.Detail, want)
				}
				if got := got.header.Values("Allow"); !cmp.Equal(got, []string{allowed}) {
					t.Errorf("Allow = %q, want %q", got, allowed)
				}
			})
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer((&parts{}).handler(t))
	defer server.Close()
	for path, length := range map[string]int64{"/": int64(len("userrelay\n")), "/api/Health": int64(len(`{"status":"ok"}`))} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		if res.StatusCode != http.StatusOK || res.ContentLength != length {
			t.Errorf("HEAD %s: %d with a length of %d, want 200 with %d", path, res.StatusCode, res.ContentLength, length)
		}
	}
}

// The context of a function has the invocation from the host's headers.
func TestInvocation(t *testing.T) {
	t.Parallel()
	const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	traced := trace.Operation{TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331", Flags: "01", Name: "RegisterUser"}
	stated := traced
	stated.State = "a=1,b=2"
	for name, c := range map[string]struct {
		header http.Header
		want   trace.Operation // one without trace id: any
	}{
		"none":               {http.Header{}, trace.Operation{Flags: "01", Name: "RegisterUser"}},
		"traceparent":        {http.Header{"Traceparent": {traceparent}}, traced},
		"tracestate":         {http.Header{"Traceparent": {traceparent}, "Tracestate": {"a=1", "b=2"}}, stated},
		"tracestate alone":   {http.Header{"Tracestate": {"a=1"}}, trace.Operation{Flags: "01", Name: "RegisterUser"}},
		"bad traceparent":    {http.Header{"Traceparent": {marker}, "Tracestate": {"a=1"}}, trace.Operation{Flags: "01", Name: "RegisterUser"}},
		"invocation":         {http.Header{"X-Azure-Functions-Invocationid": {"6b1a"}}, trace.Operation{Flags: "01", Name: "RegisterUser", InvocationID: "6b1a"}},
		"behind a caller's":  {http.Header{"X-Azure-Functions-Invocationid": {"mine, his, 6b1a"}}, trace.Operation{Flags: "01", Name: "RegisterUser", InvocationID: "6b1a"}},
		"in a second header": {http.Header{"X-Azure-Functions-Invocationid": {"mine", " 6b1a "}}, trace.Operation{Flags: "01", Name: "RegisterUser", InvocationID: "6b1a"}},
		"longest invocation": {http.Header{"X-Azure-Functions-Invocationid": {strings.Repeat("i", 64)}}, trace.Operation{Flags: "01", Name: "RegisterUser", InvocationID: strings.Repeat("i", 64)}},
		"too long":           {http.Header{"X-Azure-Functions-Invocationid": {strings.Repeat("i", 65)}}, trace.Operation{Flags: "01", Name: "RegisterUser"}},
		"not ASCII":          {http.Header{"X-Azure-Functions-Invocationid": {"ż"}}, trace.Operation{Flags: "01", Name: "RegisterUser"}},
		"white space":        {http.Header{"X-Azure-Functions-Invocationid": {"a b"}}, trace.Operation{Flags: "01", Name: "RegisterUser"}},
		"empty":              {http.Header{"X-Azure-Functions-Invocationid": {"mine,"}}, trace.Operation{Flags: "01", Name: "RegisterUser"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got trace.Operation
			p := &parts{deliver: func(ctx context.Context, e registration.Event) (relay.Outcome, error) {
				got = trace.FromContext(ctx)
				return outcome(e), nil
			}}
			r := post(t)
			r.Header = c.header
			serve(t, p.handler(t), r).wantStored(t, "e-1")
			if c.want.TraceID == "" && len(got.TraceID) == 32 {
				c.want.TraceID = got.TraceID
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("operation (-want +got):\n%s", diff)
			}
		})
	}
}
