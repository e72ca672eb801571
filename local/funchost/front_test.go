package funchost_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	const ok, missing, denied = http.StatusOK, http.StatusNotFound, http.StatusUnauthorized
	cfg := config(t, funchost.Forward, "")
	r := start(t, cfg)
	for _, tt := range []struct {
		name, method, path string
		want               int
	}{
		{"function", "GET", "/api/Open", ok},
		{"no case", "GET", "/API/oPEN", ok},
		{"trailing slash", "GET", "/api/Open/", ok},
		{"no methods, so any", "PURGE", "/api/Open", ok},
		{"escaped letter", "GET", "/api/%4fpen", ok},
		{"route instead of name", "GET", "/api/Some/Where", ok},
		{"same route, other method", "PUT", "/api/Some/Where", ok},
		{"same route, no such method", "POST", "/api/Some/Where", missing},
		{"name where there is a route", "GET", "/api/Routed", missing},
		{"wrong method before the key", "GET", "/api/RegisterUser", missing},
		{"right method without a key", "POST", "/api/RegisterUser", denied},
		{"below", "GET", "/api/Open/x", missing},
		{"two slashes", "GET", "/api//Open", missing},
		{"two trailing slashes", "GET", "/api/Open//", missing},
		{"escaped slash", "GET", "/api%2FOpen", missing},
		{"escaped trailing slash", "GET", "/api/Open%2f", missing},
		{"unknown", "GET", "/api/Nothing", missing},
		{"without prefix", "GET", "/Open", missing},
		{"prefix alone", "GET", "/api", missing},
		{"disabled", "GET", "/api/Off", missing},
		{"admin", "GET", "/admin/functions", missing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := r.call(t, tt.method, tt.path, "")
			if tt.want != ok {
				got.wantEmpty(t, tt.want)
				wantHeaders(t, got.header, map[string]string{"Allow": "", "Server": "Kestrel"})
			} else if seen := got.seen(t); seen.Method != tt.method {
				t.Errorf("the handler got method %s, want %s", seen.Method, tt.method)
			}
		})
	}
}

func TestRoutePrefix(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, prefix, path string }{
		{"none", "", "/Open"},
		{"own", "/v1/users/", "/v1/users/Open"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := standard()
			a.top["extensions"] = map[string]any{"http": map[string]any{"routePrefix": tt.prefix}}
			cfg := config(t, funchost.Forward, "")
			cfg.Dir = a.write(t)
			r := start(t, cfg)
			if got := r.call(t, "GET", tt.path, "").seen(t).URI; got != tt.path {
				t.Errorf("the handler got %s, want %s", got, tt.path)
			}
			if got := r.FunctionURL("open"); got != r.URL()+tt.path {
				t.Errorf("FunctionURL is %s", got)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	const ok, denied = http.StatusOK, http.StatusUnauthorized
	r := start(t, config(t, funchost.Forward, ""))
	for _, tt := range []struct {
		name, method, path, header string
		want                       int
	}{
		{"none", "POST", "/api/RegisterUser", "", denied},
		{"empty", "POST", "/api/RegisterUser?code=", "", denied},
		{"function", "POST", "/api/RegisterUser", functionKey, ok},
		{"function in the query", "POST", "/api/RegisterUser?code=" + functionKey, "", ok},
		{"CODE", "POST", "/api/RegisterUser?x=1&CODE=" + functionKey, "", ok},
		{"host", "POST", "/api/RegisterUser", hostKey, ok},
		{"master", "POST", "/api/RegisterUser", masterKey, ok},
		{"system", "POST", "/api/RegisterUser", systemKey, denied},
		{"another function's", "POST", "/api/RegisterUser", otherKey, denied},
		{"part", "POST", "/api/RegisterUser", functionKey[1:], denied},
		{"wrong header, right code", "POST", "/api/RegisterUser?code=" + functionKey, "wrong", denied},
		{"right header, wrong code", "POST", "/api/RegisterUser?code=wrong", functionKey, ok},
		{"first code counts", "POST", "/api/RegisterUser?code=wrong&code=" + functionKey, "", denied},
		{"level left out is function", "GET", "/api/Other", "", denied},
		{"level left out, key", "GET", "/api/Other", otherKey, ok},
		{"anonymous", "GET", "/api/Open", "", ok},
		{"anonymous with a wrong key", "GET", "/api/Open?code=wrong", "wrong", ok},
		{"admin without", "GET", "/api/Secret", "", denied},
		{"admin with host", "GET", "/api/Secret", hostKey, denied},
		{"admin with master", "GET", "/api/Secret", masterKey, ok},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if tt.header != "" {
				headers = []string{"X-Functions-Key: " + tt.header}
			}
			got := r.call(t, tt.method, tt.path, "", headers...)
			if tt.want == denied {
				got.wantEmpty(t, denied)
			} else if got.status != ok {
				t.Errorf("got %d, want 200", got.status)
			}
		})
	}
	t.Run("none configured", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, funchost.Forward, "")
		cfg.Keys = funchost.Keys{}
		start(t, cfg).call(t, "POST", "/api/RegisterUser?code=", "", "X-Functions-Key: ").wantEmpty(t, denied)
	})
	t.Run("NoAuth", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, funchost.Forward, "")
		cfg.NoAuth = true
		r := start(t, cfg)
		for _, path := range []string{"/api/Secret", "/api/Other?code=wrong"} {
			if got := r.call(t, "GET", path, ""); got.status != ok {
				t.Errorf("%s: got %d, want 200", path, got.status)
			}
		}
	})
}

// TestRefusals has the requests that the host itself refuses. None of them may reach the handler.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, mode.mode, "")
			cfg.Env = append(cfg.Env, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=1000")
			r := start(t, cfg)
			raw := func(head, body string) int {
				return rawStatus(t, r, head+"\r\nHost: x\r\nConnection: close\r\n"+body)
			}
			contentType := http.StatusInternalServerError
			if mode.mode == funchost.Proxy {
				contentType = http.StatusOK // passed on unchanged
			}
			for _, tt := range []struct {
				name      string
				got, want int
			}{
				{"9 kB URL", raw("GET /api/Open?"+strings.Repeat("x", 9000)+" HTTP/1.1", "\r\n"), http.StatusRequestURITooLong},
				{"7 kB URL", raw("GET /api/Open?"+strings.Repeat("x", 7000)+" HTTP/1.1", "\r\n"), http.StatusOK},
				{"40 kB header", raw("GET /api/Open HTTP/1.1", "X-A: "+strings.Repeat("x", 40000)+"\r\n\r\n"), http.StatusRequestHeaderFieldsTooLarge},
				{"30 kB header", raw("GET /api/Open HTTP/1.1", "X-A: "+strings.Repeat("x", 30000)+"\r\n\r\n"), http.StatusOK},
				{"101 headers", raw("GET /api/Open HTTP/1.1", strings.Repeat("X-A: x\r\n", 101)+"\r\n"), http.StatusRequestHeaderFieldsTooLarge},
				{"UTF-8 header", raw("GET /api/Open HTTP/1.1", "X-A: \u00e4\r\n\r\n"), http.StatusInternalServerError},
				{"Latin-1 header", raw("GET /api/Open HTTP/1.1", "X-A: \xe4\r\n\r\n"), http.StatusBadRequest},
				{"content type", raw("POST /api/Open HTTP/1.1", "Content-Type: nonsense\r\nContent-Length: 1\r\n\r\nx"), contentType},
				{"at the limit", raw("POST /api/Open HTTP/1.1", "Content-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000)), http.StatusOK},
				{"over the limit", raw("POST /api/Open HTTP/1.1", "Content-Length: 1001\r\n\r\n"+strings.Repeat("x", 1001)), http.StatusInternalServerError},
			} {
				if tt.got != tt.want {
					t.Errorf("%s: got %d, want %d", tt.name, tt.got, tt.want)
				}
			}
			want := int64(4) // three of the above, and this one
			if mode.mode == funchost.Proxy {
				want++
			}
			if got := r.call(t, "GET", open, "").seen(t).Hits; got != want {
				t.Errorf("the handler has seen %d requests, want %d", got, want)
			}
		})
	}
}

func TestProxyLimitsChunkedBodies(t *testing.T) {
	t.Parallel()
	cfg := config(t, funchost.Proxy, "")
	cfg.Env = append(cfg.Env, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=1000")
	got := rawStatus(t, start(t, cfg), "POST /api/Open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"+strings.Repeat("x", 1001)+"\r\n0\r\n\r\n")
	if got != http.StatusInternalServerError {
		t.Errorf("got %d, want 500", got)
	}
}

func TestDefaultBodyLimit(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, ""))
	if got := rawStatus(t, r, fmt.Sprintf("POST /api/Open HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 104857601)); got != http.StatusInternalServerError {
		t.Errorf("got %d for one byte more than 100 MiB, want 500", got)
	}
}

// rawStatus sends bytes as they are and returns the status of the answer.
func rawStatus(t *testing.T, r *rig, request string) int {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(wait.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestOwnPages(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, ""))
	roots := r.call(t, "GET", open, "").seen(t).Roots
	home := r.call(t, "GET", "/", "")
	if home.status != http.StatusOK || !strings.Contains(home.body, "stand-in of the Azure Functions host") {
		t.Errorf("GET /: got %+v, want a page that names the host", home)
	}
	r.call(t, "GET", "/admin/host/ping", "").wantEmpty(t, http.StatusOK)
	if got := r.call(t, "GET", open, "").seen(t).Roots; got != roots {
		t.Errorf("home page and ping made %d requests to the handler, want none", got-roots)
	}
	r.call(t, "GET", "/Admin/Host/Ping?checkHealth=1", "").wantEmpty(t, http.StatusOK)
	if got := r.call(t, "GET", open, "").seen(t).Roots; got != roots+1 {
		t.Errorf("the health check made %d requests to the handler, want 1", got-roots)
	}
	cfg := config(t, funchost.Forward, "")
	cfg.Env = append(cfg.Env, "AzureWebJobsDisableHomepage=true")
	if got := start(t, cfg).call(t, "GET", "/", ""); got.status != http.StatusNoContent {
		t.Errorf("GET / without a home page: got %d, want 204", got.status)
	}
}

func TestInsights(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, mode.mode, "")
			cfg.Insights = true
			r := start(t, cfg)
			first, second := r.call(t, "GET", open, ""), r.call(t, "GET", open, "")
			made := map[string]string{"Traceparent": "00-[0-9a-f]{32}-[0-9a-f]{16}-00"}
			wantHeaders(t, first.seen(t).Header, made)
			wantHeaders(t, second.seen(t).Header, made)
			if one := first.seen(t).Header.Get("Traceparent"); one == second.seen(t).Header.Get("Traceparent") {
				t.Errorf("two requests have the traceparent %s", one)
			}
			wantHeaders(t, first.header, map[string]string{"Request-Context": "appId=.*"})
			for _, own := range []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "nonsense"} {
				got := r.call(t, "GET", open, "", "Traceparent: "+own).seen(t)
				wantHeaders(t, got.Header, map[string]string{"Traceparent": own})
			}
		})
	}
}
