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
	"os"
	"path/filepath"
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
	streams  []map[string]any
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
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", a.token)
	mux.HandleFunc("GET /api/v2/actions/actions", a.list("actions", func() []map[string]any { return a.actions }))
	mux.HandleFunc("POST /api/v2/actions/actions", a.createAction)
	mux.HandleFunc("GET /api/v2/actions/actions/{id}", a.getAction)
	mux.HandleFunc("PATCH /api/v2/actions/actions/{id}", a.updateAction)
	mux.HandleFunc("POST /api/v2/actions/actions/{id}/deploy", a.deployAction)
	mux.HandleFunc("GET /api/v2/actions/modules", a.list("modules", func() []map[string]any { return nil }))
	mux.HandleFunc("GET /api/v2/actions/triggers/post-user-registration/bindings", a.list("bindings", func() []map[string]any { return a.bindings }))
	mux.HandleFunc("PATCH /api/v2/actions/triggers/post-user-registration/bindings", a.updateBindings)
	mux.HandleFunc("GET /api/v2/event-streams", a.list("eventStreams", func() []map[string]any { return a.streams }))
	mux.HandleFunc("POST /api/v2/event-streams", a.createStream)
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
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	if err := os.WriteFile(a.ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// has changes the tenant's data.
func (a *tenant) has(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// env returns the environment for its callers.
func (a *tenant) env() []string {
	return []string{"AUTH0_DOMAIN=" + a.domain, "AUTH0_CLIENT_ID=" + clientID, "AUTH0_CLIENT_SECRET=" + clientSecret, "NODE_EXTRA_CA_CERTS=" + a.ca}
}

// guard requires the token, and records changes.
func (a *tenant) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			next.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+accessToken {
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
		body, _ := readObject(r) // one that cannot be read has no member
		get = func(name string) string { value, _ := body[name].(string); return value }
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
		all := items()
		if all == nil {
			all = []map[string]any{}
		}
		page := map[string]any{name: all, "total": max(len(all), a.more), "page": 0, "per_page": 100}
		if r.URL.Query().Get("page") > "0" {
			page[name] = []map[string]any{}
		}
		answer(w, http.StatusOK, page)
	}
}

// keep records a change, and returns its body.
func (a *tenant) keep(r *http.Request) (map[string]any, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var remembered, body map[string]any
	if len(text) > 0 {
		err = errors.Join(json.Unmarshal(text, &remembered), json.Unmarshal(text, &body))
	}
	a.sent = append(a.sent, sent{r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v2/"), remembered})
	return body, err
}

func (a *tenant) createAction(w http.ResponseWriter, r *http.Request) {
	body, err := a.keep(r)
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"statusCode": 400})
		return
	}
	body["id"], body["status"], body["all_changes_deployed"] = fmt.Sprintf("act-%d", len(a.actions)+1), "built", false
	for _, secret := range objects(body["secrets"]) {
		delete(secret, "value") // the API never gives it back
	}
	a.actions = append(a.actions, body)
	answer(w, http.StatusCreated, body)
}

func (a *tenant) action(id string) map[string]any {
	for _, action := range a.actions {
		if action["id"] == id {
			return action
		}
	}
	return nil
}

func (a *tenant) getAction(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, a.action(r.PathValue("id")))
}

func (a *tenant) updateAction(w http.ResponseWriter, r *http.Request) {
	body, err := a.keep(r)
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"statusCode": 400})
		return
	}
	action := a.action(r.PathValue("id"))
	maps.Copy(action, body)
	answer(w, http.StatusOK, action)
}

func (a *tenant) deployAction(w http.ResponseWriter, r *http.Request) {
	if _, err := a.keep(r); err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"statusCode": 400})
		return
	}
	answer(w, http.StatusOK, map[string]any{"id": "version-1", "status": "built", "number": 1})
}

func (a *tenant) updateBindings(w http.ResponseWriter, r *http.Request) {
	if _, err := a.keep(r); err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"statusCode": 400})
		return
	}
	answer(w, http.StatusOK, map[string]any{"bindings": []any{}})
}

func (a *tenant) createStream(w http.ResponseWriter, r *http.Request) {
	body, err := a.keep(r)
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"statusCode": 400})
		return
	}
	body["id"] = "est_38ANnv8pQhqsZrX2VFbftv"
	a.streams = append(a.streams, body)
	answer(w, http.StatusCreated, body)
}

// changes returns the recorded changes, and forgets them.
func (a *tenant) changes() []sent {
	a.mu.Lock()
	defer a.mu.Unlock()
	changes := a.sent
	a.sent = nil
	return changes
}

func readObject(r *http.Request) (map[string]any, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	return object, json.Unmarshal(text, &object)
}

func objects(v any) (found []map[string]any) {
	list, _ := v.([]any)
	for _, item := range list {
		if object, ok := item.(map[string]any); ok {
			found = append(found, object)
		}
	}
	return found
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // the caller may have left
}
