package ingest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/identity"
	"userrelay/handler/insights/ingest"
	"userrelay/local/freeport"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// identityService is App Service's endpoint of managed identities (2019-08-01). It fails once.
type identityService struct {
	mu    sync.Mutex
	asked []url.Values
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
	if len(i.asked) == 1 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"statusCode":400,"message":"private words of the identity service"}`)
		return
	}
	// The token expires at once, because azidentity caches tokens for the whole process, across tests.
	_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","expires_on":"%d","token_type":"Bearer"}`, len(i.asked), time.Now().Unix()+1)
}

// TestManagedIdentity uses the whole chain on this machine: the platform's identity service, azidentity, and an
// endpoint that requires a token. Until there is one nothing is sent, and nothing is lost.
func TestManagedIdentity(t *testing.T) {
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	identities := &identityService{}
	platform := httptest.NewServer(identities)
	defer platform.Close()
	t.Setenv("IDENTITY_ENDPOINT", platform.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header-secret")
	e, out := &endpoint{}, &console{}
	connection := connection(t, "http://127.0.0.1:1;AADAudience=https://monitor.azure.us/")
	who := must.Get[identity.Identity](t)(identity.ParseAuthentication("Authorization=AAD;ClientId=" + id))
	tokens := must.Get[*identity.Tokens](t)(who.Tokens(connection.Scope()))
	s := newSender(t, ingest.Config{Connection: connection, Token: tokens.Get, Transport: e, Log: out.log()})
	track(s, "m")
	wait.For(t, "the item arrives", func() bool { return s.Stats().Accepted == 1 })
	s.Close(limit)
	want := url.Values{"api-version": {"2019-08-01"}, "resource": {"https://monitor.azure.us/"}, "client_id": {id}}
	if diff := cmp.Diff([]url.Values{want, want}, identities.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if got := e.requests(); len(got) != 1 || got[0].header.Get("Authorization") != "Bearer token-2" {
		t.Errorf("requests %+v", got)
	}
	if text := out.String(); !strings.Contains(text, "no token from the managed identity") || strings.Contains(text, "private") ||
		strings.Contains(text, "secret") || strings.Contains(text, "token-") {
		t.Errorf("the console: %s", text)
	}
}

// TestTokens checks that each request uses a new token after a 401, and that no token is sent unencrypted.
func TestTokens(t *testing.T) {
	for url, want := range map[string]int64{
		"https://example.com": 1, "http://example.com": 0, "http://127.0.0.1:8080": 1, "http://[::1]:8080": 1, "http://localhost": 1, "http://10.0.0.1": 0,
	} {
		synctest.Test(t, func(t *testing.T) {
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
			c := connection(t, url)
			s := newSender(t, ingest.Config{Connection: c, Transport: e, Token: source, Log: out.log()})
			track(s, "m")
			<-time.After(30 * time.Second)
			told := map[int64]string{1: "status=401", 0: "a token must not be sent unencrypted"}[want]
			if n := len(e.requests()); int64(n) != 2*want || s.Stats().Accepted != want || !strings.Contains(out.String(), told) || c.Confidential() != (want == 1) {
				t.Errorf("%s: %d requests, %+v, console: %s", url, n, s.Stats(), out)
			}
		})
	}
}

// TestDeadEndpoint uses a real network: at first nothing listens, later the endpoint does, and answers in gzip, which
// net/http asks for.
func TestDeadEndpoint(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(must.Get[int](t)(freeport.Find(t.Context()))))
	e, out := &endpoint{script: []step{itemwise(503)}}, &console{}
	s := newSender(t, ingest.Config{Connection: connection(t, "http://"+address), Log: out.log()})
	track(s, "m")
	wait.For(t, "a failure", func() bool { return out.String() != "" })

	server := httptest.NewUnstartedServer(e)
	_ = server.Listener.Close()
	server.Listener = must.Get[net.Listener](t)(new(net.ListenConfig).Listen(t.Context(), "tcp4", address)) // the same port
	server.Start()
	defer server.Close()
	wait.For(t, "the item arrives", func() bool { return len(e.accepted()) == 1 && s.Stats().Accepted == 1 })
	s.Close(limit)
	if text := out.String(); !strings.Contains(text, "no connection") || !strings.Contains(text, "again") || strings.Contains(text, address) {
		t.Errorf("the console: %s", text)
	}
}
