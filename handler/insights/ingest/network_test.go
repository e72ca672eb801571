package ingest_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/identity"
	"userrelay/handler/insights/ingest"
	"userrelay/local/freeport"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// TestManagedIdentity uses the whole chain on this machine: App Service's identity service (2019-08-01), which fails
// once, azidentity, and an endpoint that requires a token. Until there is one nothing is sent, and nothing is lost.
func TestManagedIdentity(t *testing.T) {
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	var asked []url.Values
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-IDENTITY-HEADER") != "header-secret" {
			http.Error(w, "whose header is this", http.StatusUnauthorized)
			return
		}
		asked = append(asked, r.URL.Query())
		w.Header().Set("Content-Type", "application/json")
		if len(asked) == 1 {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"statusCode":400,"message":"private words of the identity service"}`)
			return
		}
		// The token expires at once, because azidentity caches tokens for the whole process, across tests.
		_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","expires_on":"%d","token_type":"Bearer"}`, len(asked), time.Now().Unix()+1)
	}))
	defer platform.Close()
	t.Setenv("IDENTITY_ENDPOINT", platform.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header-secret")
	e := &endpoint{url: "http://127.0.0.1:1;AADAudience=https://monitor.azure.us/"}
	who := must.Get[identity.Identity](t)(identity.ParseAuthentication("Authorization=AAD;ClientId=" + id))
	tokens := must.Get[*identity.Tokens](t)(who.Tokens(connection(t, e.url).Scope()))
	e.token = tokens.Get
	x := start(t, e)
	x.track("m")
	wait.For(t, "the item arrives", func() bool { return x.Stats().Accepted == 1 })
	x.Close(wait.Patience)
	platform.Close() // nothing is asked any more
	want := url.Values{"api-version": {"2019-08-01"}, "resource": {"https://monitor.azure.us/"}, "client_id": {id}}
	if diff := cmp.Diff([]url.Values{want, want}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if got := x.requests(); len(got) != 1 || got[0].authorization != "Bearer token-2" {
		t.Errorf("requests %+v", got)
	}
	if text := x.console.String(); !strings.Contains(text, "no token from the managed identity") || strings.Contains(text, "private") ||
		strings.Contains(text, "secret") || strings.Contains(text, "token-") {
		t.Errorf("the console: %s", text)
	}
}

// TestTokens checks that each request uses a new token after a 401, and that no token is sent unencrypted.
func TestTokens(t *testing.T) {
	for url, want := range map[string]int64{
		"https://example.com": 1, "http://example.com": 0, "http://127.0.0.1:8080": 1, "http://[::1]:8080": 1, "http://localhost": 1, "http://10.0.0.1": 0,
	} {
		asked := 0
		token := func(context.Context) (string, error) {
			asked++
			return fmt.Sprint("token-", asked), nil
		}
		bubble(t, &endpoint{url: url, token: token, script: many(1, step{status: http.StatusUnauthorized})}, func(x rig) {
			x.track("m")
			<-time.After(30 * time.Second)
			var sent []string
			for _, p := range x.requests() {
				sent = append(sent, p.authorization)
			}
			told := map[int64]string{1: "status=401", 0: "a token must not be sent unencrypted"}[want]
			if !slices.Equal(sent, []string{"Bearer token-1", "Bearer token-2"}[:2*want]) || x.Stats().Accepted != want ||
				!strings.Contains(x.console.String(), told) || connection(t, url).Confidential() != (want == 1) {
				x.Errorf("%s: sent %q, %+v, console: %s", url, sent, x.Stats(), x.console.String())
			}
		})
	}
}

// TestDeadEndpoint uses a real network: at first nothing listens, later the endpoint does, and answers in gzip, which
// net/http asks for.
func TestDeadEndpoint(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(must.Get[int](t)(freeport.Find(t.Context()))))
	e := &endpoint{script: []step{itemwise(503)}}
	s := ingest.New(ingest.Config{Connection: connection(t, "http://"+address), Log: slog.New(slog.NewTextHandler(&e.console, nil))})
	defer s.Close(closeSoon)
	s.Track([]byte("m"))
	wait.For(t, "a failure", func() bool { return e.console.String() != "" })

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := e.RoundTrip(r)
		if err != nil || r.Header.Get("Accept-Encoding") != "gzip" {
			http.Error(w, "no", http.StatusTeapot) // which nobody expects
			return
		}
		defer func() { _ = answer.Body.Close() }()
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(answer.StatusCode)
		z := gzip.NewWriter(w)
		_, _ = io.Copy(z, answer.Body)
		_ = z.Close()
	}))
	_ = server.Listener.Close()
	server.Listener = must.Get[net.Listener](t)(new(net.ListenConfig).Listen(t.Context(), "tcp4", address)) // the same port
	server.Start()
	defer server.Close()
	wait.For(t, "the item arrives", func() bool { return len(e.accepted()) == 1 && s.Stats().Accepted == 1 })
	s.Close(wait.Patience)
	if text := e.console.String(); !strings.Contains(text, "no connection") || !strings.Contains(text, "again") || strings.Contains(text, address) {
		t.Errorf("the console: %s", text)
	}
}
