package portal_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"userrelay/local/portal"
)

// A foreign page whose name resolves to this machine (DNS rebinding) must get nothing.
func TestOnlyLoopbackNames(t *testing.T) {
	t.Parallel()
	p, err := portal.Start(t.Context(), portal.Config{Broker: &stuck{}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	h := p.Handler()
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8080": 200, "127.9.9.9:1": 200, "localhost": 200, "LocalHost:1": 200, "[::1]:80": 200, "[::1]": 200,
		"": 421, "example.com": 421, "localhost.example.com": 421, "127.0.0.1.example.com:80": 421, "10.0.0.1": 421, "0.0.0.0": 421,
		"notlocalhost": 421, "localhost:": 200, "127.0.0.1:80:80": 421, "[::2]:80": 421,
	} {
		for _, path := range []string{"/", "/items", "/broker", "/state"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s of %q: status %d, want %d", path, host, w.Code, want)
			}
		}
	}
}

func TestOtherOriginsChangeNothing(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{Broker: &stuck{}})
	for _, path := range []string{"/v2.1/track", "/send", "/resend"} {
		for _, h := range []header{{"Origin", "https://example.com"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
			if res := r.send(t, http.MethodPost, path, "[]", h); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %v: status %d, want 403", path, h, res.StatusCode)
			}
		}
	}
	res := r.send(t, http.MethodPut, "/broker", `{"running":false}`, header{"Sec-Fetch-Site", "cross-site"})
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("/broker: status %d, want 403", res.StatusCode)
	}
	if res := r.send(t, http.MethodPut, "/broker", `{"running":false}`, header{"Sec-Fetch-Site", "same-origin"}); res.StatusCode != http.StatusOK {
		t.Errorf("the page itself: status %d, want 200", res.StatusCode)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	for _, path := range []string{"/", "/page.js", "/items", "/nothing"} {
		h := r.send(t, http.MethodGet, path, "").Header
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}
