package auth0

import (
	"cmp"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
)

// tenant stands in for an Auth0 tenant: its token endpoint and the part of the Management API that the tools call. It
// answers like the API and records the requests that change something.
type tenant struct {
	t      *testing.T
	domain string // host:port
	ca     string // file with the certificate that its callers must trust

	mu       sync.Mutex
	sent     []sent
	actions  []map[string]any
	bindings []map[string]any // of post-user-registration
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

// startTenant starts a tenant that has these Actions and bindings.
func startTenant(t *testing.T, a *tenant) *tenant {
	t.Helper()
	server := httptest.NewUnstartedServer(a)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of handshakes that are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	a.t, a.domain, a.ca = t, strings.TrimPrefix(server.URL, "https://"), filepath.Join(t.TempDir(), "ca.pem")
	write(t, a.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	return a
}

// env returns the environment for its callers.
func (a *tenant) env() []string {
	return []string{"AUTH0_DOMAIN=" + a.domain, "AUTH0_CLIENT_ID=" + clientID, "AUTH0_CLIENT_SECRET=" + clientSecret, "NODE_EXTRA_CA_CERTS=" + a.ca}
}

func (a *tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	status, answer := http.StatusOK, map[string]any{}
	switch where := strings.TrimPrefix(r.URL.Path, "/api/v2/"); {
	case where == "/oauth/token":
		status, answer = a.token(text)
	case r.Header.Get("Authorization") != "Bearer "+accessToken:
		status = http.StatusUnauthorized
	case r.Method == http.MethodGet:
		answer = a.get(r, where)
	default:
		status, answer = a.change(r.Method, where, text)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, answer) // the caller may have left
}

// token takes a form as JSON too, as Auth0 does.
func (a *tenant) token(text []byte) (status int, answer map[string]any) {
	var object map[string]string
	form, _ := neturl.ParseQuery(string(text)) // of JSON, it has none of the names
	_ = json.Unmarshal(text, &object)          // of a form, neither
	for name, value := range map[string]string{
		"grant_type": "client_credentials", "client_id": clientID, "client_secret": clientSecret, "audience": "https://" + a.domain + "/api/v2/",
	} {
		if cmp.Or(form.Get(name), object[name]) != value {
			return http.StatusUnauthorized, map[string]any{"error": "access_denied", "error_description": "Unauthorized"}
		}
	}
	return http.StatusOK, map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": 86400}
}

// get returns an Action, or a collection, of which only the first page has anything.
func (a *tenant) get(r *http.Request, where string) map[string]any {
	if folder, id := path.Split(where); folder == "actions/actions/" {
		return a.action(id)
	}
	collections := map[string]struct {
		name  string
		items []map[string]any
	}{
		"actions/actions": {"actions", a.actions}, "actions/modules": {"modules", nil},
		"actions/triggers/post-user-registration/bindings": {"bindings", a.bindings}, "event-streams": {"eventStreams", nil},
	}
	found, ok := collections[where]
	if !ok {
		a.t.Errorf("asked for what the stand-in does not know: %s", r.URL)
	}
	page := append([]map[string]any{}, found.items[:min(100, len(found.items))]...)
	if r.URL.Query().Get("page") > "0" {
		page = page[:0]
	}
	return map[string]any{found.name: page, "total": len(found.items), "page": 0, "per_page": 100}
}

// change records a change, and returns what became of it, without the secrets, whose values the API never gives back.
func (a *tenant) change(method, where string, text []byte) (status int, answer map[string]any) {
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil && len(text) > 0 {
		return http.StatusBadRequest, nil
	}
	a.sent = append(a.sent, sent{method + " " + where, maps.Clone(body)})
	delete(body, "secrets")
	switch folder, last := path.Split(where); {
	case where == "actions/actions":
		body["id"], body["status"], body["all_changes_deployed"] = fmt.Sprintf("act-%d", len(a.actions)+1), "built", false
		a.actions = append(a.actions, body)
		return http.StatusCreated, body
	case folder == "actions/actions/":
		maps.Copy(a.action(last), body)
		return http.StatusOK, a.action(last)
	case where == "event-streams":
		body["id"] = "est_38ANnv8pQhqsZrX2VFbftv"
		return http.StatusCreated, body
	}
	return http.StatusOK, map[string]any{"id": "version-1", "status": "built", "number": 1, "bindings": []any{}} // of a deployment, or all bindings
}

// action returns the Action with this id, or none.
func (a *tenant) action(id string) map[string]any {
	i := slices.IndexFunc(a.actions, func(action map[string]any) bool { return action["id"] == id })
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
