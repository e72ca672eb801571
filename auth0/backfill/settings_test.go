package main

import (
	"context"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
)

// TestSettings shows that all mistakes are reported at once, without values, and that nothing is sent.
func TestSettings(t *testing.T) {
	t.Parallel()
	const address, theKey = "FUNCTION_URL: must be an address that begins with https://", "FUNCTION_KEY: has characters that no key has"
	const theTenant = "AUTH0_TENANT: must be the tenant's name, as in event.tenant.id"
	const theDomain = "AUTH0_TENANT: must be the name alone, as in event.tenant.id, and not the domain"
	const domain = "AUTH0_DOMAIN: must be the tenant's domain, such as acme.eu.auth0.com"
	const credentials = "AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET, or AUTH0_TOKEN: must be set"
	from := []string{"-from", "2026-11-21T00:00:00Z"}
	for name, c := range map[string]struct {
		env  []string
		args []string
		says []string
	}{
		"none for a file":     {nil, []string{"-"}, []string{theTenant, address}},
		"none for the API":    {nil, from, []string{theTenant, address, domain, credentials}},
		"dry run of a file":   {nil, []string{"-dry-run", "-"}, []string{theTenant}},
		"a path":              {[]string{"AUTH0_DOMAIN=acme.eu.auth0.com/api/v2"}, from, []string{theTenant, address, domain, credentials}},
		"id without secret":   {append(functionEnv(), "AUTH0_DOMAIN=acme.eu.auth0.com", "AUTH0_CLIENT_ID=x"), from, []string{credentials}},
		"http":                {append(functionEnv(), "FUNCTION_URL=http://fn.example/?code="+key), []string{"-"}, []string{address}},
		"http, almost local":  {append(functionEnv(), "FUNCTION_URL=http://127.0.0.1.fn.example/"), []string{"-"}, []string{address}},
		"user and password":   {append(functionEnv(), "FUNCTION_URL=https://jane:"+key+"@fn.example/"), []string{"-"}, []string{address}},
		"no scheme":           {append(functionEnv(), "FUNCTION_URL=fn/api"), []string{"-"}, []string{address}},
		"unsound address":     {append(functionEnv(), "FUNCTION_URL=https://fn.example/%zz"+key), []string{"-"}, []string{address}},
		"key of two lines":    {append(functionEnv(), "FUNCTION_KEY="+key+"\r\nx: y"), []string{"-"}, []string{theKey}},
		"tenant is a domain?": {append(functionEnv(), "AUTH0_TENANT=https://acme"), []string{"-"}, []string{theTenant}},
		"tenant is a domain":  {append(functionEnv(), "AUTH0_TENANT=acme.eu.auth0.com"), []string{"-"}, []string{theDomain}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t.Context(), t, world{}, c.env, exportOf(1), c.args...)
			if want := "backfill: " + strings.Join(c.says, "\n") + "\n"; r.code != 2 || r.stderr != want || r.stdout != "" {
				t.Errorf("got exit code %d and %q, want 2 and %q", r.code, r.stdout+r.stderr, want)
			}
		})
	}
}

// TestFlags shows the messages for flags that make no sense.
func TestFlags(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"name the files of an export job, or a time span with -from; see -help": nil,
		"-from must be before -to":                               {"-from", "2026-11-21T00:00:00Z", "-to", "2026-11-21T00:00:00Z"},
		"-rate must be more than 0 and at most 1000":             {"-rate", "NaN", "-"},
		"-parallel must be 1 to 100":                             {"-parallel", "0", "-"},
		"must be a time such as 2026-11-21T00:00:00Z":            {"-from", "yesterday"},
		"flag provided but not defined: -key":                    {"-key", key},
		"-rate must be more than 0 and at most 1000\n-parallel ": {"-rate", "1001", "-parallel", "101", "-"},
	} {
		r := start(t.Context(), t, world{}, functionEnv(), exportOf(1), args...)
		if r.code != 2 || !strings.Contains(r.stderr, says) {
			t.Errorf("%q: got exit code %d and %q, want 2 and %q", args, r.code, r.stderr, says)
		}
	}
	r := start(t.Context(), t, world{}, nil, "", "-help")
	r.says(t, 0, "Environment:", "  -dry-run")
}

// TestPasted shows that text pasted with a secret is ignored, that invalid secrets are reported, and that no key is
// sent in the address. The Actions use the same table.
func TestPasted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ Name, URL, Key, Problem string }
	if err := json.Unmarshal(text, &rows, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	const theKey = "sEcReT-kEy/of+the=function=="
	code := neturl.QueryEscape(theKey)
	fill := strings.NewReplacer("$URL", functionURL, "$KEY", theKey, "$CODE2", neturl.QueryEscape(code), "$CODE", code).Replace
	for _, row := range rows {
		f := &target{answer: func(_ http.ResponseWriter, r *http.Request, _ post, _ int) bool {
			if r.URL.String() != functionURL {
				t.Errorf("%s: asked for %s", row.Name, r.URL)
			}
			return false
		}}
		env := []string{"FUNCTION_URL=" + fill(row.URL), "FUNCTION_KEY=" + fill(row.Key), "AUTH0_TENANT=acme-dev"}
		r := start(t.Context(), t, world{"https://fn.example": f}, env, exportOf(1), "-")
		if row.Problem != "" {
			if secret, _, _ := strings.Cut(row.Problem, " "); r.code != 2 || !strings.HasPrefix(r.stderr, "backfill: "+secret+": ") {
				t.Errorf("%s: got exit code %d and %q, want 2 and a word about %s", row.Name, r.code, r.stderr, secret)
			}
			continue
		}
		r.says(t, 0)
		if len(f.posts) != 1 || f.posts[0].key != theKey {
			t.Errorf("%s: got %+v", row.Name, f.posts)
		}
	}
	if len(rows) == 0 {
		t.Error("nothing was checked")
	}
}

// TestKeyInAddress shows that a key in the address is sent in the header only.
func TestKeyInAddress(t *testing.T) {
	t.Parallel()
	for address, sent := range map[string]string{
		"?code=a%2Fb%3D%3D": "a/b==", "?code=a+b": "a+b", "?code=&x=1": "", "": "", "#code=x": "",
	} {
		f := &target{}
		env := []string{"FUNCTION_URL=" + functionURL + address, "AUTH0_TENANT=acme-dev"}
		start(context.Background(), t, world{"https://fn.example": f}, env, exportOf(1), "-").says(t, 0)
		if got := f.posts[0].key; got != sent {
			t.Errorf("%s: got key %q, want %q", address, got, sent)
		}
	}
}

// TestPastedForTheAPI shows the same for the settings of the Management API.
func TestPastedForTheAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, env := range [][]string{
			{`AUTH0_DOMAIN="https://acme.eu.auth0.com/"`, `AUTH0_CLIENT_ID='deployer'`, "AUTH0_CLIENT_SECRET= " + secret + "\n"},
			{"AUTH0_DOMAIN=acme.eu.auth0.com\r\n", "AUTH0_TOKEN=Bearer " + apiToken},
			{"AUTH0_DOMAIN=AUTH0_DOMAIN=acme.eu.auth0.com", `AUTH0_TOKEN="Authorization: Bearer ` + apiToken + `"`},
		} {
			d := &directory{users: usersAt(3, day(), time.Minute)}
			_, r := d.backfill(t, append(functionEnv(), env...))
			r.says(t, 0, "       3  delivered")
		}
	})
}
