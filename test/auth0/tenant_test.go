package auth0

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
)

// tenant stands in for an Auth0 tenant: its token endpoint and the part of the Management API that the tools call. It
// answers like the API and records the requests.
type tenant struct {
	*httptest.Server
	domain string // host:port
	ca     string // file with the certificate that its callers must trust

	mu       sync.Mutex
	sent     []sent
	actions  []map[string]any
	bindings []map[string]any // of post-user-registration
	more     int              // how many a list says that there are, where it does not hold them all
}

// sent is a request that changes something.
type sent struct {
	request string // method and path
	body    map[string]any
}

const (
	clientID     = "deployer"
	clientSecret = "s3cr3t-of-the-deployer"
	accessToken  = "token-of-the-deployer"
)

func startTenant(t *testing.T) *tenant {
	t.Helper()
	a := &tenant{}
	none := func() []map[string]any { return []map[string]any{} }
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", a.token)
	mux.HandleFunc("GET /api/v2/actions/actions", a.list("actions", func() []map[string]any { return a.actions }))
	mux.HandleFunc("GET /api/v2/actions/actions/{id}", func(w http.ResponseWriter, r *http.Request) { answer(w, 200, a.action(r)) })
	mux.HandleFunc("GET /api/v2/actions/modules", a.list("modules", none))
	mux.HandleFunc("GET /api/v2/actions/triggers/post-user-registration/bindings", a.list("bindings", func() []map[string]any { return a.bindings }))
	mux.HandleFunc("GET /api/v2/event-streams", a.list("eventStreams", none))
	mux.HandleFunc("POST /api/v2/actions/actions", a.change(201, func(_ *http.Request, body map[string]any) map[string]any {
		body["id"], body["status"], body["all_changes_deployed"] = fmt.Sprintf("act-%d", len(a.actions)+1), "built", false
		a.actions = append(a.actions, body)
		return body
	}))
	mux.HandleFunc("PATCH /api/v2/actions/actions/{id}", a.change(200, func(r *http.Request, body map[string]any) map[string]any {
		maps.Copy(a.action(r), body)
		return a.action(r)
	}))
	mux.HandleFunc("POST /api/v2/actions/actions/{id}/deploy", a.change(200, func(*http.Request, map[string]any) map[string]any {
		return map[string]any{"id": "version-1", "status": "built", "number": 1}
	}))
	mux.HandleFunc("PATCH /api/v2/actions/triggers/post-user-registration/bindings", a.change(200, func(*http.Request, map[string]any) map[string]any {
		return map[string]any{"bindings": []any{}}
	}))
	mux.HandleFunc("POST /api/v2/event-streams", a.change(201, func(_ *http.Request, body map[string]any) map[string]any {
		body["id"] = "est_38ANnv8pQhqsZrX2VFbftv"
		return body
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("asked for what the stand-in does not know: %s %s", r.Method, r.URL)
		answer(w, http.StatusNotFound, map[string]any{"statusCode": 404, "error": "Not Found", "message": "Not Found"})
	})
	a.Server = httptest.NewUnstartedServer(a.guard(mux))
	a.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of handshakes that are meant to fail
	a.StartTLS()
	t.Cleanup(a.Close)
	a.domain = strings.TrimPrefix(a.URL, "https://")
	a.ca = filepath.Join(t.TempDir(), "ca.pem")
	write(t, a.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}))
	return a
}

// env returns the environment for its callers.
func (a *tenant) env() []string {
	return []string{"AUTH0_DOMAIN=" + a.domain, "AUTH0_CLIENT_ID=" + clientID, "AUTH0_CLIENT_SECRET=" + clientSecret, "NODE_EXTRA_CA_CERTS=" + a.ca}
}

// guard requires the token.
func (a *tenant) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth/token" && r.Header.Get("Authorization") != "Bearer "+accessToken {
			answer(w, http.StatusUnauthorized, map[string]any{"statusCode": 401, "error": "Unauthorized", "message": "Invalid token"})
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// token takes a form as JSON too, as Auth0 does.
func (a *tenant) token(w http.ResponseWriter, r *http.Request) {
	get := r.PostFormValue
	if r.Header.Get("Content-Type") == "application/json" {
		var body map[string]string
		_ = json.UnmarshalRead(r.Body, &body) // one that cannot be read has no member
		get = func(name string) string { return body[name] }
	}
	if get("grant_type") != "client_credentials" || get("client_id") != clientID || get("client_secret") != clientSecret ||
		get("audience") != "https://"+a.domain+"/api/v2/" {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "access_denied", "error_description": "Unauthorized"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": 86400})
}

// list answers a collection under its name, on one page.
func (a *tenant) list(name string, items func() []map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		all := append([]map[string]any{}, items()...)
		page := map[string]any{name: all, "total": max(len(all), a.more), "page": 0, "per_page": 100}
		if r.URL.Query().Get("page") > "0" {
			page[name] = []map[string]any{}
		}
		answer(w, http.StatusOK, page)
	}
}

// change records a change, and answers what a function makes of it, without the secrets' values, which the API never
// gives back.
func (a *tenant) change(status int, apply func(r *http.Request, body map[string]any) map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var remembered, body map[string]any
		if len(text) > 0 {
			err = errors.Join(err, json.Unmarshal(text, &remembered), json.Unmarshal(text, &body))
		}
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]any{"statusCode": 400})
			return
		}
		a.sent = append(a.sent, sent{r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v2/"), remembered})
		secrets, _ := body["secrets"].([]any)
		for _, secret := range secrets {
			if object, ok := secret.(map[string]any); ok {
				delete(object, "value")
			}
		}
		answer(w, status, apply(r, body))
	}
}

// action returns the Action that a path names.
func (a *tenant) action(r *http.Request) map[string]any {
	i := slices.IndexFunc(a.actions, func(action map[string]any) bool { return action["id"] == r.PathValue("id") })
	if i < 0 {
		return map[string]any{}
	}
	return a.actions[i]
}

// changes returns the recorded changes.
func (a *tenant) changes() []sent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // the caller may have left
}
