package ingest_test

import (
	"strings"
	"testing"

	"userrelay/handler/insights/ingest"
)

func TestConnectionStrings(t *testing.T) {
	t.Parallel()
	const (
		key    = "00000000-1111-2222-3333-abcdefABCDEF"
		ikey   = "InstrumentationKey=" + key
		global = "https://dc.services.visualstudio.com/v2.1/track"
		west   = "https://westeurope-1.in.applicationinsights.azure.com"
	)
	padded := ikey + ";ApplicationId="
	padded += strings.Repeat("x", 4096-len(padded))
	for name, c := range map[string]struct{ text, endpoint string }{
		"as the portal shows it":         {ikey + ";IngestionEndpoint=" + west + "/;LiveEndpoint=https://westeurope.livediagnostics.monitor.azure.com/;ApplicationId=" + key, west + "/v2.1/track"},
		"no slash at the end":            {ikey + ";IngestionEndpoint=" + west, west + "/v2.1/track"},
		"key alone":                      {ikey, global},
		"semicolon at the end":           {ikey + ";", global},
		"semicolons anywhere":            {";;" + ikey + "; ;", global},
		"any order":                      {"IngestionEndpoint=" + west + ";" + ikey, west + "/v2.1/track"},
		"any case of keys":               {"instrumentationKEY=" + key + ";INGESTIONendpoint=" + west, west + "/v2.1/track"},
		"white space":                    {" InstrumentationKey = " + key + " ;\n IngestionEndpoint = " + west + " \r\n", west + "/v2.1/track"},
		"key in upper case":              {"InstrumentationKey=" + strings.ToUpper(key), global},
		"unknown keys":                   {ikey + ";Anything=at=all;AADAudience=;Authorization=ikey", global},
		"suffix":                         {ikey + ";EndpointSuffix=applicationinsights.us", "https://dc.applicationinsights.us/v2.1/track"},
		"suffix with a dot":              {ikey + ";EndpointSuffix=.applicationinsights.us", "https://dc.applicationinsights.us/v2.1/track"},
		"suffix and location":            {ikey + ";EndpointSuffix=applicationinsights.azure.cn;Location=chinaeast2", "https://chinaeast2.dc.applicationinsights.azure.cn/v2.1/track"},
		"location with a dot":            {ikey + ";EndpointSuffix=applicationinsights.azure.cn;Location=chinaeast2.", "https://chinaeast2.dc.applicationinsights.azure.cn/v2.1/track"},
		"location alone":                 {ikey + ";Location=westeurope", global},
		"explicit endpoint before all":   {ikey + ";EndpointSuffix=applicationinsights.us;Location=us;IngestionEndpoint=" + west, west + "/v2.1/track"},
		"empty values":                   {ikey + ";IngestionEndpoint=;EndpointSuffix=;Location=", global},
		"an endpoint of this machine":    {ikey + ";IngestionEndpoint=http://127.0.0.1:8080", "http://127.0.0.1:8080/v2.1/track"},
		"an endpoint of this machine, 6": {ikey + ";IngestionEndpoint=http://[::1]:8080/", "http://[::1]:8080/v2.1/track"},
		"an endpoint with a path":        {ikey + ";IngestionEndpoint=https://proxy.example.com/ai/", "https://proxy.example.com/ai/v2.1/track"},
		"an endpoint with slashes":       {ikey + ";IngestionEndpoint=" + west + "//", west + "/v2.1/track"},
		"the longest":                    {padded, global},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ingest.ParseConnection(c.text)
			if err != nil || got.Endpoint != c.endpoint || !strings.EqualFold(got.InstrumentationKey, key) {
				t.Errorf("connection %+v, error %v, want %s to %s", got, err, key, c.endpoint)
			}
		})
	}
}

func TestConnectionStringMistakes(t *testing.T) {
	t.Parallel()
	const (
		secret = "xyzzy-1234"
		ikey   = "InstrumentationKey=00000000-1111-2222-3333-444444444444;"

		form     = "must be Key=Value pairs separated by ';', as the portal shows it"
		needsKey = "must have an InstrumentationKey, a GUID"
		endpoint = "must have an ingestion endpoint that is a URL of http or https"
	)
	for name, c := range map[string]struct{ text, want string }{
		"empty":                  {"", needsKey},
		"semicolons":             {";;", needsKey},
		"a key without pairs":    {secret, form},
		"a bare key":             {"00000000-1111-2222-3333-444444444444", form},
		"a pair without name":    {ikey + "=" + secret, form},
		"a pair without equals":  {ikey + secret, form},
		"no key":                 {"IngestionEndpoint=https://" + secret, needsKey},
		"an empty key":           {"InstrumentationKey=;ApplicationId=" + secret, needsKey},
		"a key that is no GUID":  {"InstrumentationKey=" + secret, needsKey},
		"a key that is too long": {"InstrumentationKey=00000000-1111-2222-3333-4444444444444", needsKey},
		"a key in braces":        {"InstrumentationKey={00000000-1111-2222-3333-444444444444}", needsKey},
		"a key without dashes":   {"InstrumentationKey=00000000111122223333444444444444", needsKey},
		"a key of letters":       {"InstrumentationKey=0000000g-1111-2222-3333-444444444444", needsKey},
		"a key twice":            {ikey + ikey, "has a key twice"},
		"twice, in another case": {ikey + "ApplicationId=" + secret + ";applicationid=" + secret, "has a key twice"},
		"too long":               {ikey + strings.Repeat(secret, 410), "must be at most 4096 characters"},
		"no scheme":              {ikey + "IngestionEndpoint=" + secret + ".example.com", endpoint},
		"another scheme":         {ikey + "IngestionEndpoint=ftp://" + secret, endpoint},
		"no host":                {ikey + "IngestionEndpoint=https:///" + secret, endpoint},
		"a port without host":    {ikey + "IngestionEndpoint=https://:443/" + secret, endpoint},
		"a port that is none":    {ikey + "IngestionEndpoint=https://example.com:" + secret, endpoint},
		"a user":                 {ikey + "IngestionEndpoint=https://user:" + secret + "@example.com", endpoint},
		"a query":                {ikey + "IngestionEndpoint=https://example.com/?code=" + secret, endpoint},
		"a fragment":             {ikey + "IngestionEndpoint=https://example.com/#" + secret, endpoint},
		"white space in it":      {ikey + "IngestionEndpoint=https://a " + secret, endpoint},
		"a control character":    {ikey + "IngestionEndpoint=https://a\x7f" + secret, endpoint},
		"a suffix that is none":  {ikey + "EndpointSuffix=a b" + secret, endpoint},
		"a suffix with a user":   {ikey + "EndpointSuffix=" + secret + "@example.com", endpoint},
		"a suffix with a query":  {ikey + "EndpointSuffix=example.com?" + secret, endpoint},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ingest.ParseConnection(c.text)
			if err == nil || err.Error() != c.want || strings.Contains(err.Error(), secret) {
				t.Errorf("connection %+v, error %v, want %s", got, err, c.want)
			}
			if got != (ingest.Connection{}) {
				t.Errorf("connection %+v beside the error", got)
			}
		})
	}
}
