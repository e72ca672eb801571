package funchost_test

import (
	"net/http"
	"strings"
	"testing"

	"userrelay/local/funchost"
)

// TestObserve checks the observed requests, including those that reached no function.
func TestObserve(t *testing.T) {
	t.Parallel()
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			told := make(chan funchost.Exchange, 1)
			cfg := config(t, m.mode, "")
			cfg.Observe = func(x funchost.Exchange) { told <- x }
			r := start(t, cfg)
			large := strings.Repeat("b", 100_000)
			for _, tt := range []struct {
				name, method, path, body, header string
				status                           int
				ran, hasKey                      bool
				query                            string
			}{
				{"a function", "POST", "/api/RegisterUser?code=" + functionKey + "&a=1", "hello", "X-A: b", http.StatusOK, true, true, "a=1"},
				{"no key", "POST", "/api/RegisterUser", "hello", "X-A: b", http.StatusUnauthorized, false, false, ""},
				{"a wrong key", "POST", "/api/RegisterUser?CODE=x", "hello", "X-A: b", http.StatusUnauthorized, false, true, ""},
				{"a key in the header", "POST", "/api/RegisterUser", "hello", "X-Functions-Key: " + functionKey, http.StatusOK, true, true, ""},
				{"no function", "PUT", "/api/Nothing?b=2", "hello", "X-A: b", http.StatusNotFound, false, false, "b=2"},
				{"a large body", "POST", "/api/Nothing", large, "X-A: b", http.StatusNotFound, false, false, ""},
				{"no body", "GET", "/api/Nothing", "", "X-A: b", http.StatusNotFound, false, false, ""},
			} {
				if got := r.call(t, tt.method, tt.path, tt.body, tt.header); got.err != nil || got.status != tt.status {
					t.Fatalf("%s: got %d, %v", tt.name, got.status, got.err)
				}
				x := <-told
				if x.Status != tt.status || x.Request.Method != tt.method || (x.Invocation != "") != tt.ran || (x.Operation != "") != tt.ran || x.HasKey != tt.hasKey || x.Query != tt.query {
					t.Errorf("%s: %+v", tt.name, x)
				}
				if want := tt.body[:min(len(tt.body), 16<<10)]; string(x.Body) != want {
					t.Errorf("%s: %d bytes of the body, want %d", tt.name, len(x.Body), len(want))
				}
				if tt.ran != (len(x.Answer) > 0) {
					t.Errorf("%s: answer %q", tt.name, x.Answer)
				}
			}
			r.call(t, "GET", "/", "") // the host's own page
			r.call(t, "GET", "/api/Nothing", "")
			if x := <-told; x.Request.URL.Path != "/api/Nothing" {
				t.Errorf("told of %s", x.Request.URL.Path)
			}
		})
	}
}
