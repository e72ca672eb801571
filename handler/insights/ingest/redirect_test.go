package ingest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/insights/ingest"
	"userrelay/test/wait"
)

func tokens(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// TestRedirectTargets has the redirects that are followed, with the token, and those that are not.
func TestRedirectTargets(t *testing.T) {
	const west = "https://westeurope-1.in.applicationinsights.azure.com"
	for _, c := range []struct {
		name, endpoint, location string
		host                     string // that gets the items; "" none
	}{
		{"another stamp", "https://dc.services.visualstudio.com", west + "/v2.1/track", "westeurope-1.in.applicationinsights.azure.com"},
		{"the usual port", west, "https://eastus-8.in.applicationinsights.azure.com:443/v2.1/track", "eastus-8.in.applicationinsights.azure.com:443"},
		{"in upper case", west, "HTTPS://EASTUS-8.in.applicationinsights.AZURE.com/v2.1/track", "EASTUS-8.in.applicationinsights.AZURE.com"},
		{"a government's", west, "https://usgovvirginia-1.in.applicationinsights.azure.us/v2.1/track", "usgovvirginia-1.in.applicationinsights.azure.us"},
		{"China's", west, "https://chinaeast2-0.in.applicationinsights.azure.cn/v2.1/track", "chinaeast2-0.in.applicationinsights.azure.cn"},
		{"private link", west, "https://eastus-5.in.ai.privatelink.monitor.azure.com/v2.1/track", "eastus-5.in.ai.privatelink.monitor.azure.com"},
		{"the same host, by its path", "https://proxy.example.com", "/v2.1/track", "proxy.example.com"},
		{"the same host, whole", "https://proxy.example.com:8443", "https://proxy.example.com:8443/v2.1/track", "proxy.example.com:8443"},

		{"a foreign host", west, "https://evil.example/v2.1/track", ""},
		{"a host that begins like Azure's", west, "https://westeurope-1.in.applicationinsights.azure.com.evil.example/v2.1/track", ""},
		{"a host that ends like Azure's", west, "https://evilservices.visualstudio.com/v2.1/track", ""},
		{"a storage account", west, "https://evil.blob.core.windows.net/v2.1/track", ""},
		{"unencrypted", west, "http://westeurope-2.in.applicationinsights.azure.com/v2.1/track", ""},
		{"the same host unencrypted", west, "http://westeurope-1.in.applicationinsights.azure.com/v2.1/track", ""},
		{"another port", west, "https://westeurope-2.in.applicationinsights.azure.com:8443/v2.1/track", ""},
		{"a user before the host", west, "https://westeurope-2.in.applicationinsights.azure.com@evil.example/v2.1/track", ""},
		{"a user", west, "https://user:pass@westeurope-2.in.applicationinsights.azure.com/v2.1/track", ""},
		{"this machine", west, "http://127.0.0.1:80/v2.1/track", ""},
		{"this machine, by https", west, "https://localhost/v2.1/track", ""},
		{"the identity service", west, "http://169.254.169.254/metadata/identity", ""},
		{"another scheme", west, "ftp://westeurope-2.in.applicationinsights.azure.com/v2.1/track", ""},
		{"no URL", west, "https://%zz/", ""},
		{"nowhere", west, "", ""},
	} {
		for _, status := range []int{307, 308} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := &endpoint{script: []step{{status: status, location: c.location}}}
					s := newSender(t, ingest.Config{Connection: connection(t, c.endpoint), Transport: e, Token: tokens("secret")})
					trackTrace(s, "m")
					<-time.After(5 * time.Second)
					var hosts []string
					for _, p := range e.requests() {
						hosts = append(hosts, p.host)
						if got := p.header.Get("Authorization"); got != "Bearer secret" {
							t.Errorf("Authorization %q to %s", got, p.host)
						}
						if len(p.lines) != 1 {
							t.Errorf("%d items to %s", len(p.lines), p.host)
						}
					}
					st := s.Stats()
					if c.host == "" {
						if len(hosts) != 1 || st.Rejected != 1 {
							t.Errorf("requests to %q, %+v", hosts, st)
						}
					} else if len(hosts) != 2 || hosts[1] != c.host || st.Accepted != 1 {
						t.Errorf("requests to %q, %+v", hosts, st)
					}
				})
			})
		}
	}
}

// TestRedirectIsRemembered checks that a redirect is used again until the other host fails.
func TestRedirectIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const home, away = "dc.services.visualstudio.com", "westeurope-1.in.applicationinsights.azure.com"
		awayFails := false
		e := &endpoint{byDefault: step{check: func(p post) *step {
			switch {
			case p.host == home:
				return &step{status: 308, location: "https://" + away + "/v2.1/track"}
			case awayFails:
				awayFails = false
				return &step{status: 503}
			}
			return nil
		}}}
		s := newSender(t, ingest.Config{Connection: connection(t, "https://"+home), Transport: e})
		for range 3 {
			trackTrace(s, "m")
			<-time.After(2 * time.Second)
		}
		e.mu.Lock()
		awayFails = true
		e.mu.Unlock()
		trackTrace(s, "m")
		<-time.After(5 * time.Second)
		var hosts []string
		for _, p := range e.requests() {
			hosts = append(hosts, strings.SplitN(p.host, ".", 2)[0])
		}
		if got := strings.Join(hosts, " "); got != "dc westeurope-1 westeurope-1 westeurope-1 westeurope-1 dc westeurope-1" {
			t.Errorf("requests to %s", got)
		}
		if st := s.Stats(); st.Accepted != 4 {
			t.Errorf("%+v", st)
		}
	})
}

// TestRedirectOnTheNetwork redirects between two real servers.
func TestRedirectOnTheNetwork(t *testing.T) {
	t.Parallel()
	second := &endpoint{}
	server := httptest.NewServer(second)
	defer server.Close()
	first := &endpoint{byDefault: step{status: http.StatusPermanentRedirect, location: server.URL + "/v2.1/track"}}
	s, _ := serve(t, first, ingest.Config{Token: tokens("secret")})
	trackTrace(s, "m")
	wait.For(t, "the item arrives", func() bool { return s.Stats().Accepted == 1 })
	if got := second.requests()[0].header.Get("Authorization"); got != "Bearer secret" {
		t.Errorf("Authorization %q", got)
	}
	trackTrace(s, "m")
	wait.For(t, "the next goes there at once", func() bool { return s.Stats().Accepted == 2 && len(first.requests()) == 1 })
}

// TestPackedAnswers has answers in gzip, which net/http requests.
func TestPackedAnswers(t *testing.T) {
	t.Parallel()
	wait.LongEnough(t, "two items in one request", time.Second, func(time.Duration) bool { return packedAnswers(t) })
}

func packedAnswers(t *testing.T) (inOne bool) {
	t.Helper()
	e := &endpoint{script: []step{{
		status: 206, zipped: true,
		body: `{"itemsReceived":2,"itemsAccepted":0,"errors":[{"index":0,"statusCode":400},{"index":1,"statusCode":503}]}`,
	}, {zipped: true}}}
	s, _ := serve(t, e, ingest.Config{})
	trackTrace(s, "m0")
	trackTrace(s, "m1")
	wait.For(t, "both are settled", func() bool { return s.Stats().Pending == 0 && s.Stats().Tracked == 2 })
	if len(e.requests()[0].lines) == 1 {
		return false
	}
	if st := s.Stats(); st.Accepted != 1 || st.Rejected != 1 || e.requests()[0].header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("%+v", st)
	}
	return true
}

// TestAnswerWithoutEnd has an endpoint with an endless answer.
func TestAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 206, 503} {
		wait.LongEnough(t, "an answer in the sender's time", time.Second, func(time.Duration) bool {
			body := `{"itemsAccepted":1,"errors":[` + strings.Repeat(" ", 2<<20) + `]}`
			e := &endpoint{script: []step{{status: status, zipped: true, body: body}}}
			s, _ := serve(t, e, ingest.Config{})
			trackTrace(s, "m")
			wait.For(t, "an answer", func() bool { return s.Stats().Accepted+s.Stats().Dropped == 1 })
			st := s.Stats()
			if status == 206 && st.Accepted == 1 {
				return false // the answer took too long, and the item was sent again
			}
			if (st.Dropped == 1) != (status == 206) {
				t.Errorf("%d: %+v", status, st)
			}
			return true
		})
	}
}
