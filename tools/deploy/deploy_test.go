package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
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

// rig runs Deploy against stand-ins.
type rig struct {
	t       *testing.T
	folder  string
	environ []string
	source  string         // a package
	want    string         // the checksum of its handler
	answers []answer       // of the app, in order; the last one is repeated
	hang    bool           // az hangs after it got the package
	stdout  bytes.Buffer   // of Deploy
	stderr  bytes.Buffer   // of Deploy
	asked   []http.Request // of the app
}

type answer struct {
	status int
	body   string
	header http.Header
}

func newRig(t *testing.T, w azure.World) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir()}
	environ, err := azure.Install(r.folder, w)
	if err != nil {
		t.Fatal(err)
	}
	r.environ = slices.Concat(environ, []string{"PATH=" + r.folder + ":/usr/bin:/bin"})
	self, err := os.Executable() // a Go program like another
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	r.want = fmt.Sprintf("%x", sha256.Sum256(program))
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	f, err := z.CreateHeader(&zip.FileHeader{Name: "bin/handler"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	r.source = filepath.Join(r.folder, "it's a package.zip")
	if err := os.WriteFile(r.source, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r.answers = []answer{{http.StatusOK, `{"sha256":"` + r.want + `"}`, nil}}
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

// command runs a stand-in.
func (r *rig) command(ctx context.Context, name string, args ...string) (string, error) {
	if r.hang && slices.Contains(args, "config-zip") {
		<-ctx.Done()
		return "", &commandError{name, "signal: killed", ctx.Err()}
	}
	if name == "go" {
		return "", os.WriteFile(args[len(args)-1], nil, 0o600)
	}
	c := exec.CommandContext(ctx, filepath.Join(r.folder, name), args...)
	c.Env = r.environ
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return "", &commandError{name, strings.TrimSpace(stderr.String()), err}
	}
	return stdout.String(), nil
}

// deploy runs it for the app that flags name.
func (r *rig) deploy(args ...string) int {
	r.t.Helper()
	args = append([]string{"-subscription", azure.Subscription, "-resource-group", "rg", "-name", "func", "-src", r.source}, args...)
	return r.run(args...)
}

func (r *rig) run(args ...string) int {
	p := program{run: r.command, client: r, environ: r.environ, stdout: &r.stdout, stderr: &r.stderr}
	return p.main(r.t.Context(), args)
}

// calls returns the number of calls of az for each given command.
func (r *rig) calls(names ...string) map[string]int {
	r.t.Helper()
	_, calls, err := azure.Read(r.folder)
	if err != nil {
		r.t.Fatal(err)
	}
	n := map[string]int{}
	for _, c := range calls {
		for _, name := range names {
			if strings.HasPrefix(c.String(), "az "+name+" ") {
				n[name]++
			}
		}
	}
	return n
}

const configZip = "functionapp deployment source config-zip"

func TestDeploy(t *testing.T) {
	t.Parallel()
	refused := azure.Answer{Call: "az " + configZip, Code: 1, Stderr: "WARNING: x\nERROR: The deployment failed. Status Code: 403"}
	old := answer{http.StatusOK, `{"commit":"0123456789abcdef","sha256":"00"}`, nil}
	shut := answer{http.StatusForbidden, "", http.Header{"X-Ms-Forbidden-Ip": {"192.0.2.1"}}}
	right := func(grants ...azure.Grant) func(*azure.World) {
		return func(w *azure.World) { w.Grants = grants }
	}
	const once, twice, never = 1, 2, 0
	for name, c := range map[string]struct {
		change  func(*azure.World)
		answers []answer // before the app answers what is wanted
		last    *answer  // instead of what is wanted
		hang    bool
		args    []string
		code    int
		tries   int
		says    []string
	}{
		"at once":             {code: exitOK, tries: once, says: []string{"App func in rg", "The app runs"}},
		"not logged in":       {change: func(w *azure.World) { w.LoggedIn = false }, code: exitFailed, says: []string{"az login"}},
		"az is too old":       {change: func(w *azure.World) { w.Version = "2.60.0" }, code: exitFailed, says: []string{`"2.60.0"`, oldest, "az upgrade"}},
		"there is no app":     {change: func(w *azure.World) { w.Made = false }, code: exitFailed, says: []string{"ResourceGroupNotFound"}},
		"a reader":            {change: right(azure.Grant{Role: "Reader", Scope: group}), code: exitFailed, tries: never, says: []string{"no right to Microsoft.Web/sites/publish/action", "given up"}},
		"a contributor":       {change: right(azure.Grant{Role: "Contributor", Scope: group}), code: exitOK, tries: once},
		"the app alone":       {change: right(azure.Grant{Role: "Website Contributor", Scope: group + "/providers/Microsoft.Web/sites/func"}), code: exitFailed, says: []string{"Microsoft.Web/serverfarms/read", "lacks the plan"}},
		"the group":           {change: right(azure.Grant{Role: "Website Contributor", Scope: group}), code: exitOK, tries: once},
		"a role that is new":  {change: script(azure.Answer{Call: "az rest", Stdout: `{"value":[]}`}), code: exitOK, tries: once, says: []string{"Not yet: no right", "ten minutes"}},
		"refused for a while": {change: script(refused), code: exitOK, tries: twice, says: []string{"Not yet: az: ", "Status Code: 403"}},
		"refused":             {change: script(slices.Repeat([]azure.Answer{refused}, 99)...), code: exitFailed, tries: 21, says: []string{"given up", "Status Code: 403"}},
		"no way to the storage account": {
			change: script(azure.Answer{Call: "az " + configZip, Code: 1, Stderr: "ERROR: BlobUploadFailedException: 403"}),
			code:   exitOK, tries: twice, says: []string{"could not store the package", "Network in docs/deploy.md"},
		},
		"a health check that fails": {
			change: script(azure.Answer{Call: "az " + configZip, Code: 1, Stderr: "ERROR: Deployment was successful but the app appears to be unhealthy."}),
			code:   exitOK, tries: once, says: []string{"unhealthy", "The app runs"},
		},
		"az hangs":                     {hang: true, code: exitOK, says: []string{"az has said nothing", "The app runs"}},
		"the old one runs for a while": {answers: []answer{old, {status: http.StatusNotFound}, {status: http.StatusServiceUnavailable}}, code: exitOK, tries: once, says: []string{"still runs commit 0123456789ab", "answers 404", "answers 503"}},
		"the old one runs":             {last: &old, code: exitFailed, tries: once, says: []string{"after 5m0s the app does not run it", "still runs commit 0123456789ab"}},
		"nonsense":                     {last: &answer{http.StatusOK, "<html>", nil}, code: exitFailed, tries: once, says: []string{"is not a version"}},
		"no key yet":                   {change: script(azure.Answer{Call: "az functionapp function keys list", Code: 1, Stderr: "ERROR: Not Found"}), code: exitOK, tries: once, says: []string{"no key yet"}},
		"shut out":                     {last: &shut, code: exitUnseen, tries: once, says: []string{"allowed_ips", "192.0.2.1"}},
		"shut out, and content":        {last: &shut, args: []string{"-unseen"}, code: exitOK, tries: once, says: []string{"allowed_ips"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world()
			w.Published = []string{"the last version"}
			if c.change != nil {
				c.change(&w)
			}
			r := newRig(t, w)
			if c.last != nil {
				r.answers = []answer{*c.last}
			}
			r.answers, r.hang = append(c.answers, r.answers...), c.hang
			synctest.Test(t, func(t *testing.T) { // its clock advances while nothing runs
				r.t = t
				if code := r.deploy(c.args...); code != c.code {
					t.Errorf("exit code %d, want %d", code, c.code)
				}
			})
			said := r.stdout.String() + r.stderr.String()
			for _, text := range c.says {
				if !strings.Contains(said, text) {
					t.Errorf("it does not say %q", text)
				}
			}
			if n := r.calls(configZip)[configZip]; n != c.tries && !c.hang {
				t.Errorf("%d tries, want %d", n, c.tries)
			}
			if strings.Contains(said, "the-key") {
				t.Error("it says the key")
			}
			if t.Failed() {
				t.Log(said)
			}
			r.checkRequests()
		})
	}
}

func script(answers ...azure.Answer) func(*azure.World) {
	return func(w *azure.World) { w.Script = answers }
}

// checkRequests checks the requests to the app.
func (r *rig) checkRequests() {
	r.t.Helper()
	for _, request := range r.asked {
		if u := request.URL.String(); u != "https://func.azurewebsites.net/api/Version" || request.Header.Get("X-Functions-Key") != "the-key" {
			r.t.Errorf("asked %s with the key %q", u, request.Header.Get("X-Functions-Key"))
		}
	}
}

// A user can refuse to wait.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	w := world()
	w.Grants = nil
	r := newRig(t, w)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute+time.Second)
		defer stop()
		p := program{run: r.command, client: r, stdout: &r.stdout, stderr: &r.stderr}
		begin := time.Now()
		code := p.main(ctx, []string{"-subscription", azure.Subscription, "-resource-group", "rg", "-name", "func", "-src", r.source})
		if took := time.Since(begin); code != exitFailed || took != time.Minute+time.Second {
			t.Errorf("exit code %d after %s", code, took)
		}
	})
}

// The output names the source of the app's name, and an incomplete name is refused.
func TestTarget(t *testing.T) {
	t.Parallel()
	whole := []string{"AZURE_SUBSCRIPTION_ID=" + azure.Subscription, "AZURE_RESOURCE_GROUP=rg", "AZURE_FUNCTION_APP=func"}
	for name, c := range map[string]struct {
		environ []string
		args    []string
		state   bool // Terraform has applied
		code    int
		says    string
	}{
		"flags":           {args: []string{"-subscription", azure.Subscription, "-resource-group", "rg", "-name", "func"}, code: exitOK, says: "(by flags)"},
		"half the flags":  {args: []string{"-name", "func"}, environ: whole, state: true, code: exitFailed, says: "go together"},
		"environment":     {environ: whole, code: exitOK, says: "(by AZURE_SUBSCRIPTION_ID"},
		"half of it":      {environ: whole[:2], state: true, code: exitOK, says: "(by terraform output)"},
		"terraform":       {state: true, code: exitOK, says: "(by terraform output)"},
		"nobody":          {code: exitFailed, says: "azd deploy"},
		"an argument":     {args: []string{"func"}, code: exitUsage, says: "no arguments"},
		"an unknown flag": {args: []string{"-x"}, code: exitUsage, says: "not defined"},
		"help":            {args: []string{"-help"}, code: exitOK, says: "-unseen"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, world())
			r.environ = append(r.environ, c.environ...)
			infra := t.TempDir()
			if c.state {
				text := `{"outputs":{"subscription_id":"` + azure.Subscription + `","resource_group":"rg","function_app_name":"func"}}`
				if err := os.WriteFile(filepath.Join(infra, "terraform.tfstate"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code := r.run(append([]string{"-infra", infra, "-src", r.source}, c.args...)...)
			if said := r.stdout.String() + r.stderr.String(); code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, c.code, c.says, said)
			}
		})
	}
}

// An invalid package is detected before any request to Azure except the login.
func TestNoPackage(t *testing.T) {
	t.Parallel()
	r := newRig(t, world())
	empty := filepath.Join(t.TempDir(), "empty.zip")
	if err := os.WriteFile(empty, append([]byte("PK\x05\x06"), make([]byte, 18)...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{empty, filepath.Join(t.TempDir(), "none.zip")} {
		if code := r.deploy("-src", source); code != exitFailed {
			t.Errorf("%s: exit code %d", source, code)
		}
	}
	if n := r.calls(configZip)[configZip]; n != 0 {
		t.Errorf("%d packages were published", n)
	}
}

// The output of -n can be run, and has the commands that Deploy runs.
func TestPrint(t *testing.T) {
	t.Parallel()
	r := newRig(t, world())
	if code := r.deploy("-n"); code != exitOK {
		t.Fatalf("exit code %d: %s", code, r.stderr.String())
	}
	if _, calls, err := azure.Read(r.folder); err != nil || len(calls) > 0 {
		t.Errorf("called: %v, %v", calls, err)
	}
	printed := exec.CommandContext(t.Context(), "sh", "-euc", r.stdout.String())
	printed.Env = r.environ
	if out, err := printed.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, r.stdout.String())
	}
	_, calls, err := azure.Read(r.folder)
	if err != nil {
		t.Fatal(err)
	}
	again := newRig(t, world())
	again.source = r.source
	if code := again.deploy(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, again.stderr.String())
	}
	_, want, err := azure.Read(again.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range want {
		if !slices.ContainsFunc(calls, func(p azure.Call) bool { return p.String() == c.String() }) {
			t.Errorf("not printed: %s", c)
		}
	}
}
