package ingest_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/insights/ingest"
	"userrelay/test/must"
)

// TestRedirectTargets has the redirects that are followed, with the token, and those that are not.
func TestRedirectTargets(t *testing.T) {
	const (
		west  = "https://westeurope-1.in.applicationinsights.azure.com"
		local = "http://127.0.0.1:1"
	)
	token := func(context.Context) (string, error) { return "secret", nil }
	for i, c := range []struct {
		endpoint, location string
		followed           bool
	}{
		{"https://dc.services.visualstudio.com", west + "/v2.1/track", true},
		{west, "https://eastus-8.in.applicationinsights.azure.com:443/v2.1/track", true},
		{west, "HTTPS://EASTUS-8.in.applicationinsights.AZURE.com/v2.1/track", true},
		{west, "https://usgovvirginia-1.in.applicationinsights.azure.us/v2.1/track", true},
		{west, "https://chinaeast2-0.in.applicationinsights.azure.cn/v2.1/track", true},
		{west, "https://eastus-5.in.ai.privatelink.monitor.azure.com/v2.1/track", true},
		{"https://proxy.example.com", "/v2.1/track", true},
		{"https://proxy.example.com:8443", "https://proxy.example.com:8443/v2.1/track", true},
		{local, "http://127.0.0.1:2/v2.1/track", true},

		{west, "https://evil.example/v2.1/track", false},
		{west, "https://westeurope-1.in.applicationinsights.azure.com.evil.example/v2.1/track", false},
		{west, "https://evilservices.visualstudio.com/v2.1/track", false},
		{west, "https://evil.blob.core.windows.net/v2.1/track", false},
		{west, "http://westeurope-2.in.applicationinsights.azure.com/v2.1/track", false},
		{west, "http://westeurope-1.in.applicationinsights.azure.com/v2.1/track", false},
		{west, "https://westeurope-2.in.applicationinsights.azure.com:8443/v2.1/track", false},
		{west, "https://westeurope-2.in.applicationinsights.azure.com@evil.example/v2.1/track", false},
		{west, "https://user:pass@westeurope-2.in.applicationinsights.azure.com/v2.1/track", false},
		{west, "http://127.0.0.1:80/v2.1/track", false},
		{west, "https://localhost/v2.1/track", false},
		{local, "https://evil.example/v2.1/track", false},
		{west, "ftp://westeurope-2.in.applicationinsights.azure.com/v2.1/track", false},
		{west, "https://%zz/", false},
		{west, "", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{script: []step{{status: 307 + i%2, location: c.location}}}
			s := newSender(t, ingest.Config{Connection: connection(t, c.endpoint), Transport: e, Token: token})
			track(s, "m")
			<-time.After(5 * time.Second)
			from := must.Get[*url.URL](t)(url.Parse(c.endpoint))
			var hosts []string
			want := []string{from.Host}
			if c.followed {
				want = append(want, must.Get[*url.URL](t)(from.Parse(c.location)).Host)
			}
			for _, p := range e.requests() {
				hosts = append(hosts, p.host)
				if p.header.Get("Authorization") != "Bearer secret" || p.first != "m" {
					t.Errorf("%s: a request to %s: %+v", c.location, p.host, p)
				}
			}
			if st := s.Stats(); !slices.Equal(hosts, want) || (st.Accepted == 1) != c.followed || (st.Rejected == 1) == c.followed {
				t.Errorf("%s: requests to %q, want %q, %+v", c.location, hosts, want, st)
			}
		})
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
		for i := range 4 {
			e.mu.Lock()
			awayFails = i == 3
			e.mu.Unlock()
			track(s, "m")
			<-time.After(4 * time.Second)
		}
		var hosts []string
		for _, p := range e.requests() {
			hosts = append(hosts, strings.SplitN(p.host, ".", 2)[0])
		}
		if got := strings.Join(hosts, " "); got != "dc westeurope-1 westeurope-1 westeurope-1 westeurope-1 dc westeurope-1" || s.Stats().Accepted != 4 {
			t.Errorf("requests to %s, %+v", got, s.Stats())
		}
	})
}
