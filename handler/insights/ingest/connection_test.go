package ingest_test

import (
	"net/url"
	"strings"
	"testing"

	"userrelay/handler/insights/ingest"
)

func TestConnectionStrings(t *testing.T) {
	t.Parallel()
	const key, public = "00000000-1111-2222-3333-abcdefABCDEF", "https://monitor.azure.com"
	const global, west = "https://dc.services.visualstudio.com", "https://westeurope-1.in.applicationinsights.azure.com"
	for rest, want := range map[string]struct{ endpoint, audience string }{
		";IngestionEndpoint=" + west + "/;LiveEndpoint=https://live.example.com/;ApplicationId=" + key: {west, public}, // as the portal shows it
		"":                           {global, public},
		"; ;":                        {global, public},
		";INGESTIONendpoint=" + west: {west, public},
		" ;\n IngestionEndpoint = " + west + " \r\n":                                                   {west, public},
		";Anything=at=all;AADAudience=;Authorization=ikey":                                             {global, public},
		";EndpointSuffix=applicationinsights.us":                                                       {"https://dc.applicationinsights.us", public},
		";EndpointSuffix=.applicationinsights.us":                                                      {"https://dc.applicationinsights.us", public},
		";EndpointSuffix=azure.example;Location=chinaeast2.":                                           {"https://chinaeast2.dc.azure.example", public},
		";Location=westeurope":                                                                         {global, public},
		";EndpointSuffix=applicationinsights.us;Location=us;IngestionEndpoint=" + west + "//":          {west, public},
		";IngestionEndpoint=;EndpointSuffix=;Location=":                                                {global, public},
		";IngestionEndpoint=http://[::1]:8080/":                                                        {"http://[::1]:8080", public},
		";IngestionEndpoint=https://proxy.example.com/ai/":                                             {"https://proxy.example.com/ai", public},
		";ApplicationId=" + strings.Repeat("x", 4096-len("InstrumentationKey="+key+";ApplicationId=")): {global, public},
		";AADAudience=https://monitor.azure.us//":                                                      {global, "https://monitor.azure.us"},
		";aadaudience = https://monitor.azure.cn/":                                                     {global, "https://monitor.azure.cn"},
	} {
		got, err := ingest.ParseConnection("InstrumentationKey=" + key + rest)
		if want := (ingest.Connection{InstrumentationKey: key, Endpoint: want.endpoint + "/v2.1/track", Audience: want.audience}); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", rest, got, err, want)
		}
	}
}

func TestConnectionStringMistakes(t *testing.T) {
	t.Parallel()
	const secret, ikey = "xyzzy-1234", "InstrumentationKey=00000000-1111-2222-3333-444444444444;"
	const (
		form     = "must be Key=Value pairs separated by ';', as the portal shows it"
		needsKey = "must have an InstrumentationKey, a GUID"
		endpoint = "must have an ingestion endpoint that is a URL of http or https"
		audience = "must have an AADAudience that is a URL of https"
	)
	for text, want := range map[string]string{
		"":                                     needsKey,
		";;":                                   needsKey,
		secret:                                 form,
		"00000000-1111-2222-3333-444444444444": form,
		ikey + "=" + secret:                    form,
		"IngestionEndpoint=https://" + secret:  needsKey,
		"InstrumentationKey=;ApplicationId=" + secret:                    needsKey,
		"InstrumentationKey=" + secret:                                   needsKey,
		"InstrumentationKey=00000000-1111-2222-3333-4444444444444":       needsKey,
		"InstrumentationKey={00000000-1111-2222-3333-444444444444}":      needsKey,
		"InstrumentationKey=00000000111122223333444444444444":            needsKey,
		"InstrumentationKey=0000000g-1111-2222-3333-444444444444":        needsKey,
		ikey + "ApplicationId=" + secret + ";applicationid=" + secret:    "has a key twice",
		ikey + strings.Repeat(secret, 410):                               "must be at most 4096 characters",
		ikey + "IngestionEndpoint=" + secret + ".example.com":            endpoint,
		ikey + "IngestionEndpoint=ftp://" + secret:                       endpoint,
		ikey + "IngestionEndpoint=https://user:" + secret + "@x.example": endpoint,
		ikey + "EndpointSuffix=" + secret + "@example.com":               endpoint,
		ikey + "AADAudience=http://monitor.azure.us":                     audience,
		ikey + "AADAudience=" + secret:                                   audience,
	} {
		got, err := ingest.ParseConnection(text)
		if err == nil || err.Error() != want || got != (ingest.Connection{}) {
			t.Errorf("%s: %+v, %v, want %s", text, got, err, want)
		}
	}
}

func FuzzParseConnection(f *testing.F) {
	f.Add("InstrumentationKey=" + testKey + ";IngestionEndpoint=https://westeurope-1.example.com/;AADAudience=https://monitor.azure.us/")
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
