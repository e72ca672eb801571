package main

import (
	"net/http"
	neturl "net/url"
	"strings"
	"testing"
	"time"
)

// TestMistakes shows that all mistakes in flags and settings are reported at once, without values, and that nothing is
// sent.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const (
		address     = "FUNCTION_URL: must be an address that begins with https://\n"
		tenant      = "AUTH0_TENANT: must be the tenant's name, as in event.tenant.id\n"
		domain      = "AUTH0_DOMAIN: must be the tenant's domain, such as acme.eu.auth0.com\n"
		credentials = "AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET, or AUTH0_TOKEN: must be set\n"
		rate        = "-rate must be more than 0 and at most 1000\n"
		since       = "2026-11-21T00:00:00Z"
	)
	none := []string{"FUNCTION_URL=", "FUNCTION_KEY=", "AUTH0_TENANT=", "AUTH0_DOMAIN=", "AUTH0_CLIENT_ID=", "AUTH0_CLIENT_SECRET="}
	with := func(env ...string) []string { return env }
	verify := func(env ...string) []string { return append(with("KAFKA_BROKERS=127.0.0.1:1", "OUTBOX=off"), env...) }
	for _, c := range []struct {
		env  []string // besides environment
		args string
		says string // the beginning
	}{
		{none, "-", tenant + address},
		{none, "-from " + since, tenant + address + domain + credentials},
		{none, "-dry-run -", tenant},
		{with("AUTH0_DOMAIN=acme.eu.auth0.com/api/v2"), "-from " + since, domain},
		{with("AUTH0_CLIENT_SECRET="), "-from " + since, credentials},
		{with("FUNCTION_URL=http://fn.example/?code=" + key), "-", address},
		{with("FUNCTION_URL=http://127.0.0.1.fn.example/"), "-", address},
		{with("FUNCTION_URL=https://jane:" + key + "@fn.example/"), "-", address},
		{with("FUNCTION_URL=fn/api"), "-", address},
		{with("FUNCTION_URL=https://fn.example/%zz" + key), "-", address},
		{with("FUNCTION_KEY=" + key + "\r\nx: y"), "-", "FUNCTION_KEY: has characters that no key has\n"},
		{with("AUTH0_TENANT=https://acme"), "-", tenant},
		{with("AUTH0_TENANT=acme.eu.auth0.com"), "-", "AUTH0_TENANT: must be the tenant's name, as in event.tenant.id, not its domain\n"},

		{nil, "", "give the files of an export job, or a time span with -from; see -help\n"},
		{nil, "-from " + since + " -to " + since, "-from must be before -to\n"},
		{nil, "-from yesterday", `invalid value "yesterday" for flag -from: must be a time such as 2026-11-21T00:00:00Z` + "\n"},
		{nil, "-rate NaN -", rate},
		{nil, "-rate 1001 -parallel 101 -", rate + "-parallel must be 1 to 100\n"},
		{nil, "-parallel 0 -", "-parallel must be 1 to 100\n"},
		{nil, "-key " + key, "flag provided but not defined: -key\n"},
		{nil, "-events -", "-events needs -from and takes no files\n"},

		{verify(), "-verify -state x -", "-verify reads the topic and cannot be used with -state\n"},
		{verify("KAFKA_BROKERS="), "-verify -", "KAFKA_BROKERS: must be host:port, or several separated by commas"},
		{verify("OUTBOX="), "-verify -", "AzureWebJobsStorage, or AzureWebJobsStorage__accountName or __queueServiceUri: must be set"},
		{verify("OUTBOX=", "AzureWebJobsStorage="+key), "-verify -", "AzureWebJobsStorage: must "},
		{verify("OUTBOX=", "AzureWebJobsStorage__accountName=A B"), "-verify -", "AzureWebJobsStorage__accountName: must "},
		{verify("KAFKA_SECURITY_PROTOCOL=TLS"), "-verify -", "KAFKA_SECURITY_PROTOCOL: must be "},
		{verify("KAFKA_SASL_MECHANISM=GSSAPI"), "-verify -", "KAFKA_SASL_MECHANISM: must be one of"},
		{verify("KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_PASSWORD="+secret), "-verify -", "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: must be set for PLAIN"},
	} {
		r := start(t.Context(), t, world{}, c.env, exportOf(1), strings.Fields(c.args)...)
		ends := !strings.HasSuffix(c.says, "\n") || r.stderr == "backfill: "+c.says
		if r.code != 2 || !strings.HasPrefix(r.stderr, "backfill: "+c.says) || !ends || r.stdout != "" {
			t.Errorf("%q: got exit code %d and %q, want 2 and %q", c.args, r.code, r.stdout+r.stderr, c.says)
		}
	}
	start(t.Context(), t, world{}, nil, "", "-help").says(t, 0, "Environment:", "  -dry-run")
}

// TestPasted shows that text pasted with a secret is ignored, that invalid secrets are reported, and that the key is
// sent in the header only. The Actions use the same table.
func TestPasted(t *testing.T) {
	t.Parallel()
	const theKey = "sEcReT-kEy/of+the=function=="
	code := neturl.QueryEscape(theKey)
	fill := strings.NewReplacer("$URL", functionURL, "$KEY", theKey, "$CODE2", neturl.QueryEscape(code), "$CODE", code).Replace
	for _, row := range table[struct{ Name, URL, Key, Problem string }](t, "secrets.json") {
		f := &target{env: []string{"FUNCTION_URL=" + fill(row.URL), "FUNCTION_KEY=" + fill(row.Key)}}
		f.answer = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			if sent := r.Header.Get("X-Functions-Key"); r.URL.String() != functionURL || sent != theKey {
				t.Errorf("%s: asked for %s with the key %q", row.Name, r.URL, sent)
			}
			return false
		}
		r := f.send(t, exportOf(1), "-")
		if row.Problem == "" {
			r.says(t, 0, "       1  delivered")
		} else if name, _, _ := strings.Cut(row.Problem, " "); r.code != 2 || !strings.HasPrefix(r.stderr, "backfill: "+name+": ") {
			t.Errorf("%s: got exit code %d and %q, want 2 and a message about %s", row.Name, r.code, r.stderr, name)
		}
	}
	f := &target{env: []string{"FUNCTION_URL=" + functionURL + "?code=&x=1", "FUNCTION_KEY="}} // a function that needs no key
	f.send(t, exportOf(1), "-").says(t, 0)
	if got := f.posts[0].key; got != "" {
		t.Errorf("got key %q", got)
	}
}

// TestPastedForTheAPI shows the same for the settings of the Management API.
func TestPastedForTheAPI(t *testing.T) {
	t.Parallel()
	for _, env := range [][]string{
		{`AUTH0_DOMAIN="https://acme.eu.auth0.com/"`, `AUTH0_CLIENT_ID='deployer'`, "AUTH0_CLIENT_SECRET= " + secret + "\n"},
		{"AUTH0_DOMAIN=acme.eu.auth0.com\r\n", "AUTH0_CLIENT_ID=", "AUTH0_TOKEN=Bearer " + apiToken},
		{"AUTH0_DOMAIN=AUTH0_DOMAIN=acme.eu.auth0.com", "AUTH0_CLIENT_ID=", `AUTH0_TOKEN="Authorization: Bearer ` + apiToken + `"`},
	} {
		a := &tenant{users: usersAt(3, day(), time.Minute), env: env}
		a.send(t, &target{}).says(t, 0, "       3  delivered")
	}
}
