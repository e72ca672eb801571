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
