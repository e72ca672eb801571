package ingest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/identity"
	"userrelay/handler/insights/ingest"
	"userrelay/test/wait"
)

func TestAudience(t *testing.T) {
	t.Parallel()
	const ikey = "InstrumentationKey=" + testKey + ";"
	for text, want := range map[string]string{
		ikey:                  "https://monitor.azure.com",
		ikey + "AADAudience=": "https://monitor.azure.com",
		ikey + "AADAudience=https://monitor.azure.us/":  "https://monitor.azure.us",
		ikey + "aadaudience = https://monitor.azure.cn": "https://monitor.azure.cn",
		ikey + "AADAudience=https://monitor.azure.us//": "https://monitor.azure.us",
		ikey + "AADAudience=http://monitor.azure.us":    "",
		ikey + "AADAudience=monitor.azure.us":           "",
		ikey + "AADAudience=https://":                   "",
		ikey + "AADAudience=https://a b":                "",
		ikey + "AADAudience=https://u:p@x.example":      "",
	} {
		got, err := ingest.ParseConnection(text)
		if got.Audience != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v, want %q", text, got.Audience, err, want)
		}
		if err != nil && err.Error() != "must have an AADAudience that is a URL of https" {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestConfidentialEndpoints(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]bool{
		"https://example.com": true, "http://example.com": false, "http://127.0.0.1:8080": true, "http://[::1]:8080": true,
		"http://localhost": true, "http://localhost.example.com": false, "http://127.0.0.1.example.com": false, "http://10.0.0.1": false,
	} {
		if got := connection(t, endpoint).Confidential(); got != want {
			t.Errorf("%s: %t", endpoint, got)
		}
	}
}

// identityService is App Service's endpoint of managed identities (2019-08-01).
type identityService struct {
	mu    sync.Mutex
	asked []url.Values
	fails int
}

func (i *identityService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.Header.Get("X-IDENTITY-HEADER") != "header-secret" {
		http.Error(w, "whose header is this", http.StatusUnauthorized)
		return
	}
	i.asked = append(i.asked, r.URL.Query())
	w.Header().Set("Content-Type", "application/json")
	if i.fails > 0 {
		i.fails--
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"statusCode":400,"message":"private words of the identity service"}`)
		return
	}
	// The token expires at once, because azidentity caches tokens for the whole process, across tests.
	_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","expires_on":"%d","token_type":"Bearer"}`, len(i.asked), time.Now().Unix()+1)
}

// TestManagedIdentity uses the whole chain on this machine: the platform's identity service, azidentity, and an
// endpoint that requires a token.
func TestManagedIdentity(t *testing.T) {
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	for _, c := range []struct {
		name           string
		authentication string
		audience       string
		want           url.Values
	}{
		{"system-assigned", "Authorization=AAD", "", url.Values{
			"api-version": {"2019-08-01"}, "resource": {"https://monitor.azure.com/"},
		}},
		{"user-assigned, of a government", "Authorization=AAD;ClientId=" + id, ";AADAudience=https://monitor.azure.us/", url.Values{
			"api-version": {"2019-08-01"}, "resource": {"https://monitor.azure.us/"}, "client_id": {id},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			identities := &identityService{}
			platform := httptest.NewServer(identities)
			defer platform.Close()
			t.Setenv("IDENTITY_ENDPOINT", platform.URL+"/msi/token")
			t.Setenv("IDENTITY_HEADER", "header-secret")

			e := &endpoint{byDefault: step{check: func(p post) *step {
				if !strings.HasPrefix(p.header.Get("Authorization"), "Bearer token-") {
					return &step{status: http.StatusUnauthorized}
				}
				return nil
			}}}
			server := httptest.NewServer(e)
			defer server.Close()
			connection, err := ingest.ParseConnection("InstrumentationKey=" + testKey + ";IngestionEndpoint=" + server.URL + c.audience)
			if err != nil {
				t.Fatal(err)
			}
			who, err := identity.ParseAuthentication(c.authentication)
			if err != nil {
				t.Fatal(err)
			}
			tokens, err := who.Tokens(connection.Scope())
			if err != nil {
				t.Fatal(err)
			}
			s := newSender(t, ingest.Config{Connection: connection, Token: tokens.Get})
			trackTrace(s, "m0")
			wait.For(t, "the first item arrives", func() bool { return s.Stats().Accepted == 1 })
			trackTrace(s, "m1")
			wait.For(t, "the second item arrives", func() bool { return s.Stats().Accepted == 2 })
			if diff := cmp.Diff([]url.Values{c.want, c.want}, identities.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if n := len(e.requests()); n != 2 {
				t.Errorf("%d requests", n)
			}
			s.Close(limit)
		})
	}
}

// TestNoToken has an identity service without a token at first. Until there is one nothing is sent, and nothing is
// lost.
func TestNoToken(t *testing.T) {
	identities := &identityService{fails: 1}
	platform := httptest.NewServer(identities)
	defer platform.Close()
	t.Setenv("IDENTITY_ENDPOINT", platform.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header-secret")
	tokens, err := identity.Identity{Kind: identity.Managed}.Tokens("https://monitor.azure.com//.default")
	if err != nil {
		t.Fatal(err)
	}
	e, out := &endpoint{}, &console{}
	s, _ := serve(t, e, ingest.Config{Token: tokens.Get, Log: out.log()})
	trackTrace(s, "m")
	wait.For(t, "the item arrives", func() bool { return s.Stats().Accepted == 1 })
	if n := len(e.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	s.Close(limit)
	if text := out.String(); !strings.Contains(text, "no token from the managed identity") || strings.Contains(text, "private") ||
		strings.Contains(text, "secret") {
		t.Errorf("the console: %s", text)
	}
}

// TestTokenIsAskedForEveryRequest checks that each request uses a new token after a 401.
func TestTokenIsAskedForEveryRequest(t *testing.T) {
	t.Parallel()
	asked := 0
	source := func(context.Context) (string, error) {
		asked++
		return fmt.Sprint("token-", asked), nil
	}
	e, out := &endpoint{byDefault: step{check: func(p post) *step {
		if p.header.Get("Authorization") != "Bearer token-2" {
			return &step{status: http.StatusUnauthorized}
		}
		return nil
	}}}, &console{}
	s, _ := serve(t, e, ingest.Config{Token: source, Log: out.log()})
	trackTrace(s, "m")
	wait.For(t, "the item arrives", func() bool { return s.Stats().Accepted == 1 })
	if n := len(e.requests()); n != 2 {
		t.Errorf("%d requests", n)
	}
	s.Close(limit)
	if text := out.String(); strings.Count(text, "status=401") != 1 || strings.Contains(text, "token-") {
		t.Errorf("the console: %s", text)
	}
}

// TestTokensAreForConfidentialEndpoints has an endpoint to which a token would be sent unencrypted.
func TestTokensAreForConfidentialEndpoints(t *testing.T) {
	t.Parallel()
	e, out := &endpoint{}, &console{}
	s := newSender(t, ingest.Config{Connection: connection(t, "http://proxy.example.com"), Transport: e, Token: tokens("secret"), Log: out.log()})
	trackTrace(s, "m")
	wait.For(t, "a failure", func() bool { return strings.Contains(out.String(), "a token must not be sent unencrypted") })
	if n := len(e.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}
