package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"userrelay/test/azure"
	"userrelay/test/must"
)

func TestMain(m *testing.M) {
	if code, ran := azure.Run(os.Args, os.Environ(), os.Stdout, os.Stderr); ran { //nolint:forbidigo // a stand-in reads its own environment
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// The scope of the roles in tests.
const group = "/subscriptions/" + azure.Subscription + "/resourceGroups/rg"

// world has an app from Terraform, whose owner is logged in with another default subscription.
func world() azure.World {
	return azure.World{
		Default: azure.Other, LoggedIn: true, Version: "2.87.0", Made: true,
		Grants: []azure.Grant{{Role: "Owner", Scope: "/subscriptions/" + azure.Subscription}},
		Outputs: map[string]jsontext.Value{
			"subscription_id": jsontext.Value(`"` + azure.Subscription + `"`), "resource_group": jsontext.Value(`"rg"`), "function_app_name": jsontext.Value(`"func"`),
		},
	}
}

// parcel is a package, and the checksum of its handler.
type parcel struct{ file, handler string }

// pack makes a package of a Go program: this one.
func pack(t *testing.T) parcel {
	t.Helper()
	program := must.Get[[]byte](t)(os.ReadFile(must.Get[string](t)(os.Executable())))
	p := parcel{filepath.Join(t.TempDir(), "it's a package.zip"), fmt.Sprintf("%x", sha256.Sum256(program))}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	f := must.Get[io.Writer](t)(z.CreateHeader(&zip.FileHeader{Name: "bin/handler", Method: zip.Store})) // it is large
	must.Get[int](t)(f.Write(program))
	if err := errors.Join(z.Close(), os.WriteFile(p.file, archive.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return p
}

// rig runs Deploy against stand-ins.
type rig struct {
	folder  string
	environ []string
	source  string
	answers []answer       // of the app, in order; the last one is repeated
	script  []scripted     // what calls are answered instead of by a stand-in, each entry once
	called  []string       // stand-ins, in order
	said    bytes.Buffer   // by Deploy, to stdout
	failed  bytes.Buffer   // by Deploy, to stderr
	asked   []http.Request // of the app
}

// scripted is the answer to a call that begins with a text: what az prints, or its error. hangs: az answers nothing.
type scripted struct {
	call, stdout, stderr string
	hangs                bool
}

type answer struct {
	status int
	body   string
	header http.Header
}

func newRig(t *testing.T, w azure.World, p parcel) *rig {
	t.Helper()
	r := &rig{folder: t.TempDir(), source: p.file, answers: []answer{{http.StatusOK, `{"sha256":"` + p.handler + `"}`, nil}}}
	r.environ = append(must.Get[[]string](t)(azure.Install(r.folder, w)), "PATH="+r.folder+":/usr/bin:/bin")
	return r
}

// RoundTrip is the app.
func (r *rig) RoundTrip(request *http.Request) (*http.Response, error) {
	r.asked = append(r.asked, *request)
	a := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// command runs a stand-in, in this process.
func (r *rig) command(ctx context.Context, name string, args ...string) (string, error) {
	call := name + " " + strings.Join(args, " ")
	r.called = append(r.called, call)
	if at := slices.IndexFunc(r.script, func(s scripted) bool { return strings.HasPrefix(call, s.call) }); at >= 0 {
		s := r.script[at]
		r.script = slices.Delete(r.script, at, at+1)
		if s.hangs {
			<-ctx.Done()
			return "", &commandError{name, "signal: killed", ctx.Err()}
		}
		if s.stderr != "" {
			return "", &commandError{name, s.stderr, errors.New("exit status 1")}
		}
		return s.stdout, nil
	}
	var stdout, stderr bytes.Buffer
	if code, _ := azure.Run(append([]string{name}, args...), r.environ, &stdout, &stderr); code != 0 { //nolint:contextcheck // as a process it would get none either
		return "", &commandError{name, strings.TrimSpace(stderr.String()), fmt.Errorf("exit status %d", code)}
	}
	return stdout.String(), nil
}

// deploy runs it with flags, and with the package.
func (r *rig) deploy(ctx context.Context, flags string) int {
	p := program{run: r.command, client: r, environ: r.environ, stdout: &r.said, stderr: &r.failed}
	return p.main(ctx, append([]string{"-src", r.source}, strings.Fields(flags)...))
}

// target names the app.
const target = "-subscription " + azure.Subscription + " -resource-group rg -name func "

// TestDeploy publishes to the app that flags, the environment or Terraform name, and waits until it runs.
func TestDeploy(t *testing.T) {
	t.Parallel()
	const configZip = "az functionapp deployment source config-zip"
	azSays := func(text string) []scripted { return []scripted{{call: configZip, stderr: "ERROR: " + text}} }
	refused := azSays("The deployment failed. Status Code: 403")
	old := answer{http.StatusOK, `{"commit":"0123456789abcdef","sha256":"00"}`, nil}
	shut := []answer{{http.StatusForbidden, "", http.Header{"X-Ms-Forbidden-Ip": {"192.0.2.1"}}}}
	right := func(role, scope string) func(*azure.World) {
		return func(w *azure.World) { w.Grants = []azure.Grant{{Role: role, Scope: group + scope}} }
	}
	empty := filepath.Join(t.TempDir(), "empty.zip")
	if err := os.WriteFile(empty, append([]byte("PK\x05\x06"), make([]byte, 18)...), 0o600); err != nil {
		t.Fatal(err)
	}
	const once, twice = 1, 2
	p := pack(t)
	whole := []string{"AZURE_SUBSCRIPTION_ID=" + azure.Subscription, "AZURE_RESOURCE_GROUP=rg", "AZURE_FUNCTION_APP=func"}
	applied := func(w *azure.World) {
		w.States = map[string]azure.State{"infra/terraform.tfstate": {Outputs: w.Outputs}}
	}
	wanted := answer{http.StatusOK, `{"sha256":"` + p.handler + `"}`, nil}
	for name, c := range map[string]struct {
		change  func(*azure.World)
		answers []answer // of the app; nil: wanted
		script  []scripted
		environ []string
		bare    bool   // without target
		args    string // after target
		code    int
		tries   int
		says    []string
	}{
		"at once":                   {code: exitOK, tries: once, says: []string{"App func in rg", "(by flags)", "The app runs"}},
		"not logged in":             {change: func(w *azure.World) { w.LoggedIn = false }, code: exitFailed, says: []string{"az login"}},
		"az is too old":             {change: func(w *azure.World) { w.Version = "2.60.0" }, code: exitFailed, says: []string{`"2.60.0"`, oldest, "az upgrade"}},
		"no package":                {args: "-src none.zip", code: exitFailed, says: []string{"open the package"}},
		"an empty package":          {args: "-src " + empty, code: exitFailed, says: []string{"is not a package of this app"}},
		"there is no app":           {change: func(w *azure.World) { w.Made = false }, code: exitFailed, says: []string{"ResourceGroupNotFound"}},
		"a reader":                  {change: right("Reader", ""), code: exitFailed, says: []string{"no right to Microsoft.Web/sites/publish/action", "given up"}},
		"a contributor":             {change: right("Contributor", ""), code: exitOK, tries: once},
		"the app alone":             {change: right("Website Contributor", "/providers/Microsoft.Web/sites/func"), code: exitFailed, says: []string{"Microsoft.Web/serverfarms/read", "lacks the plan"}},
		"the group":                 {change: right("Website Contributor", ""), code: exitOK, tries: once},
		"a role that is new":        {script: []scripted{{call: "az rest", stdout: `{"value":[]}`}}, code: exitOK, tries: once, says: []string{"Not yet: no right", "ten minutes"}},
		"refused for a while":       {script: refused, code: exitOK, tries: twice, says: []string{"Not yet: az: ", "Status Code: 403"}},
		"refused":                   {script: slices.Repeat(refused, 99), code: exitFailed, tries: 21, says: []string{"given up", "Status Code: 403"}},
		"no way to storage":         {script: azSays("BlobUploadFailedException: 403"), code: exitOK, tries: twice, says: []string{"could not store the package", "Network in docs/deploy.md"}},
		"a health check that fails": {script: azSays("Deployment was successful but the app appears to be unhealthy."), code: exitOK, tries: once, says: []string{"unhealthy", "The app runs"}},
		"az hangs":                  {script: []scripted{{call: configZip, hangs: true}}, code: exitOK, tries: once, says: []string{"az has said nothing", "The app runs"}},
		"the old one for a while":   {answers: []answer{old, {status: 404}, {status: 503}, wanted}, code: exitOK, tries: once, says: []string{"still runs commit 0123456789ab", "answers 404", "answers 503"}},
		"the old one":               {answers: []answer{old}, code: exitFailed, tries: once, says: []string{"after 5m0s the app does not run it", "still runs commit 0123456789ab"}},
		"nonsense":                  {answers: []answer{{status: 200, body: "<html>"}}, code: exitFailed, tries: once, says: []string{"is not a version"}},
		"no key yet":                {script: []scripted{{call: "az functionapp function keys list", stderr: "ERROR: Not Found"}}, code: exitOK, tries: once, says: []string{"no key yet"}},
		"shut out":                  {answers: shut, code: exitUnseen, tries: once, says: []string{"allowed_ips", "192.0.2.1"}},
		"shut out, and content":     {answers: shut, args: "-unseen", code: exitOK, tries: once, says: []string{"allowed_ips"}},

		"half the flags":  {bare: true, args: "-name func", environ: whole, change: applied, code: exitFailed, says: []string{"go together"}},
		"environment":     {bare: true, environ: whole, code: exitOK, tries: once, says: []string{"(by AZURE_SUBSCRIPTION_ID"}},
		"half of it":      {bare: true, environ: whole[:2], change: applied, code: exitOK, tries: once, says: []string{"(by terraform output)"}},
		"nobody":          {bare: true, code: exitFailed, says: []string{"azd deploy"}},
		"an argument":     {bare: true, args: "func", code: exitUsage, says: []string{"no arguments"}},
		"an unknown flag": {bare: true, args: "-x", code: exitUsage, says: []string{"not defined"}},
		"help":            {bare: true, args: "-help", code: exitOK, says: []string{"-unseen"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world()
			w.Published = []string{"the last version"}
			if c.change != nil {
				c.change(&w)
			}
			r := newRig(t, w, p)
			r.script, r.environ = slices.Clone(c.script), append(r.environ, c.environ...)
			if c.answers != nil {
				r.answers = c.answers
			}
			flags := target + c.args
			if c.bare {
				flags = c.args
			}
			synctest.Test(t, func(t *testing.T) { // its clock advances while nothing runs
				if code := r.deploy(t.Context(), flags); code != c.code {
					t.Errorf("exit code %d, want %d", code, c.code)
				}
			})
			said := r.said.String() + r.failed.String()
			for _, text := range c.says {
				if !strings.Contains(said, text) {
					t.Errorf("it does not say %q", text)
				}
			}
			if n := strings.Count(strings.Join(r.called, "\n"), configZip); n != c.tries {
				t.Errorf("%d tries, want %d", n, c.tries)
			}
			for _, request := range r.asked {
				if u := request.URL.String(); u != "https://func.azurewebsites.net/api/Version" || request.Header.Get("X-Functions-Key") != "the-key" {
					t.Errorf("asked %s with the key %q", u, request.Header.Get("X-Functions-Key"))
				}
			}
			if strings.Contains(said, "the-key") {
				t.Error("it says the key")
			}
			if t.Failed() {
				t.Log(said)
			}
		})
	}
}

// A user can refuse to wait.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	w := world()
	w.Grants = nil
	r := newRig(t, w, pack(t))
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute+time.Second)
		defer stop()
		begin := time.Now()
		code := r.deploy(ctx, target)
		if took := time.Since(begin); code != exitFailed || took != time.Minute+time.Second {
			t.Errorf("exit code %d after %s", code, took)
		}
	})
}

// The output of -n can be run, and has the commands that Deploy runs.
func TestPrint(t *testing.T) {
	t.Parallel()
	p := pack(t)
	r := newRig(t, world(), p)
	if code := r.deploy(t.Context(), target+"-n"); code != exitOK || len(r.called) > 0 {
		t.Fatalf("exit code %d, called %q: %s", code, r.called, r.failed.String())
	}
	printed := exec.CommandContext(t.Context(), "sh", "-euc", r.said.String())
	printed.Env = r.environ
	if out, err := printed.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, r.said.String())
	}
	again := newRig(t, world(), p)
	if code := again.deploy(t.Context(), target); code != exitOK {
		t.Fatalf("exit code %d: %s", code, again.failed.String())
	}
	w := must.Get[azure.World](t)(azure.Read(r.folder))
	for _, call := range again.called {
		if !slices.Contains(w.Calls, call) {
			t.Errorf("not printed: %s", call)
		}
	}
}
