package ingest_test

import (
	"net/url"
	"strings"
	"testing"

	"userrelay/handler/insights/ingest"
)

func FuzzParseConnection(f *testing.F) {
	f.Add("InstrumentationKey=" + testKey + ";IngestionEndpoint=https://westeurope-1.in.applicationinsights.azure.com/;AADAudience=https://monitor.azure.us/")
	f.Add("InstrumentationKey=" + testKey + ";EndpointSuffix=ai.example.com;Location=eu;;x=y=z")
	f.Add("instrumentationkey = " + testKey + ";IngestionEndpoint=http://[::1]:80/%2f")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ingest.ParseConnection(text)
		if err != nil {
			if c != (ingest.Connection{}) || len(err.Error()) > 100 {
				t.Errorf("%+v, %v", c, err)
			}
			return
		}
		for _, text := range []string{c.Endpoint, c.Audience} {
			if u, err := url.Parse(text); err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
				t.Errorf("%q: %v", text, err)
			}
		}
		if !strings.HasSuffix(c.Endpoint, "/v2.1/track") || strings.HasSuffix(c.Audience, "/") || len(c.InstrumentationKey) != 36 {
			t.Errorf("%+v", c)
		}
	})
}

func FuzzParseAuthentication(f *testing.F) {
	f.Add("Authorization=AAD;ClientId=01234567-89ab-cdef-0123-456789abcdef")
	f.Add(";authorization = aad;;x")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ingest.ParseAuthentication(text)
		if err != nil {
			if a != (ingest.Authentication{}) || len(err.Error()) > 100 {
				t.Errorf("%+v, %v", a, err)
			}
			return
		}
		if !strings.Contains(strings.ToLower(text), "aad") || a.ClientID != "" && (len(a.ClientID) != 36 || !strings.Contains(text, a.ClientID)) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}
