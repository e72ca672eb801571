package infra_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"userrelay/test/azure"
)

func TestMain(m *testing.M) {
	if code, ran := azure.Run(os.Args, os.Environ(), os.Stdout, os.Stderr); ran { //nolint:forbidigo // a stand-in reads its own environment
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// sections returns the commands of a page by the heading above them.
func sections(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all, heading, inside := map[string]string{}, "", false
	for line := range strings.Lines(string(text)) {
		switch {
		case !inside && strings.HasPrefix(line, "#"):
			heading = strings.Trim(line, "# \n")
		case line == "```sh\n":
			inside = true
		case line == "```\n":
			inside = false
		case inside:
			all[heading] += line
		}
	}
	return all
}

// rehearsal is a person with the project in front of them, and stand-ins of the tools.
type rehearsal struct {
	t       *testing.T
	project string // a copy
	tools   string // the folder with the stand-ins
	environ []string
}

// planned are Terraform's outputs with Event Hubs and with a Kafka of one's own, as the tests of the configuration print them.
type planned struct{ eventHubs, foreign map[string]jsontext.Value }

func outputsOf(t *testing.T) planned {
	t.Helper()
	tf := newTerraform(t)
	read := func(file string) map[string]jsontext.Value {
		s, err := tf.applied(t.Context(), ".", file)
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]jsontext.Value{}
		for name, output := range s.Outputs {
			values[name] = output.Value
		}
		// The mocked cloud's ids have short names.
		w := azure.World{Outputs: values}
		group := w.Text("resource_group")
		whole := strings.NewReplacer("/resourceGroups/rg/", "/resourceGroups/"+group+"/", "/vaults/kv", "/vaults/kv-"+strings.TrimPrefix(group, "rg-"))
		for name, value := range values {
			values[name] = jsontext.Value(whole.Replace(string(value)))
		}
		return values
	}
	return planned{read(eventHubsTests), read(byForeign)}
}

// newcomer is a world in which nothing is made, and nobody logged in. Who will be is Owner of the subscription, and has
// another default one.
func newcomer(outputs map[string]jsontext.Value) azure.World {
	return azure.World{
		Default: azure.Other, Version: "2.87.0", Outputs: outputs, Prefix: "repo:octo@1/userrelay@2",
		Grants: []azure.Grant{{Role: "Owner", Scope: "/subscriptions/" + azure.Subscription}},
	}
}

// rehearse lays the project and the stand-ins.
func rehearse(t *testing.T, deploy string, w azure.World) *rehearsal {
	t.Helper()
	r := &rehearsal{t: t, project: t.TempDir(), tools: t.TempDir()}
	environ, err := azure.Install(r.tools, w)
	if err != nil {
		t.Fatal(err)
	}
	r.environ = slices.Concat(environ, []string{"PATH=" + r.tools + ":/usr/bin:/bin", "HOME=" + r.project, "DEPLOY=" + deploy})
	for _, pattern := range []string{"*.tf", "*.tfvars", "*.tfvars.json", "../azure.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("nothing fits %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r.write(filepath.Join("infra", file), string(text)) // ../azure.yaml lands beside
		}
	}
	// The tools whose work is not rehearsed. Deploy prints its commands, and they are run.
	r.script("go", `case "$1 $2" in
"run ./tools/deploy") shift 2; "$DEPLOY" -n "$@" > deploy.sh; sh -eu deploy.sh;;
"run ./tools/package") [ "$3" = -o ] && [ $# = 4 ] && echo package > "$4";;
"build -trimpath") [ "$5 $6" = "bin/handler ./handler" ] && mkdir -p bin && echo handler > bin/handler;;
*) echo "go: what is $*?" >&2; exit 2;;
esac`)
	r.script("curl", `for url; do :; done; case "$url" in https://*/api/Health) echo '{"status":"ok"}';; *) echo "curl: what is $*?" >&2; exit 2;; esac`)
	r.script("handler", `case "$*" in -check|"-check -connect"|"-poison list"|"-poison resend") ;; *) echo "handler: what is $*?" >&2; exit 2;; esac`)
	return r
}

// script lays a tool that is a few lines of sh.
func (r *rehearsal) script(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.tools, name), []byte("#!/bin/sh\nset -eu\n"+text+"\n"), 0o700); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rehearsal) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.project, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil { //nolint:gosec // G703: the test's own folder
		r.t.Fatal(err)
	}
}

// run types commands, with what a page leaves to its reader filled in. The error has what was said.
func (r *rehearsal) run(ctx context.Context, commands string) error {
	w, _, err := azure.Read(r.tools)
	if err != nil {
		return err
	}
	commands = strings.NewReplacer(
		"OWNER/REPOSITORY", "octo/userrelay", "ACCOUNT", "st", "APP.azure", "func.azure", "bin/handler -", "handler -",
		"--vault-name kv ", "--vault-name kv-"+strings.TrimPrefix(w.Text("resource_group"), "rg-")+" ",
	).Replace(commands)
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	command.Dir, command.Env = r.project, r.environ
	command.Stdin = strings.NewReader("the secret\n")
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	failures, err := azure.Failures(r.tools)
	if err == nil && failures != "" && !strings.HasPrefix(commands, "! ") {
		err = fmt.Errorf("the shell went on after: %s", failures)
	}
	return err
}

// scenario says in which world a section is rehearsed.
type scenario struct {
	page, section string
	after         []string // sections of the same page that were done before
	foreign       bool     // with a Kafka of one's own
	change        func(*azure.World)
	grants        []azure.Grant // besides Owner
	check         func(ctx context.Context, r *rehearsal, w azure.World) error
}

const (
	deployPage  = "../docs/deploy.md"
	runbookPage = "../docs/runbook.md"
)

func scenarios() []scenario {
	first := []string{"Five commands"}
	reader := []azure.Grant{{Role: "Storage Queue Data Reader", Scope: "/subscriptions/" + azure.Subscription}}
	return []scenario{
		{page: deployPage, section: "Five commands", check: published(1)},
		{page: deployPage, section: "The same with azd", check: azdPublished},
		{page: deployPage, section: "A first apply that failed at the app", change: func(w *azure.World) {
			w.LoggedIn, w.Breaks = true, 1
		}, check: func(_ context.Context, _ *rehearsal, w azure.World) error {
			if !w.Made {
				return errors.New("nothing is made")
			}
			return nil
		}},
		{page: deployPage, section: "Who may do what", after: first, change: func(w *azure.World) { w.AzdLogin = true }},
		{page: deployPage, section: "Publish from GitHub", after: first, check: gitHubPublishes},
		{page: deployPage, section: "Other ways to publish", after: first},
		{page: deployPage, section: "A Kafka of your own", foreign: true, change: func(w *azure.World) { w.LoggedIn = true }, check: secretIsThere},
		{page: runbookPage, section: "The outbox grows", change: func(w *azure.World) { w.LoggedIn = true }, grants: reader},
		{page: runbookPage, section: "Poison"},
	}
}

// published says whether as many packages were published.
func published(want int) func(context.Context, *rehearsal, azure.World) error {
	return func(_ context.Context, _ *rehearsal, w azure.World) error {
		if len(w.Published) != want {
			return fmt.Errorf("%d packages were published, want %d", len(w.Published), want)
		}
		return nil
	}
}

// azdPublished says whether `azd up` and `azd deploy` publish, and whether the second environment had names of its own.
func azdPublished(ctx context.Context, r *rehearsal, w azure.World) error {
	if len(w.Published) < 1 {
		return errors.New("azd up has published nothing")
	}
	if err := r.run(ctx, "azd up && azd deploy"); err != nil {
		return err
	}
	after, _, err := azure.Read(r.tools)
	if err != nil {
		return err
	}
	if got, want := len(after.Published), len(w.Published)+2; got != want {
		return fmt.Errorf("azd up and azd deploy have published %d packages, want 2", got-len(w.Published))
	}
	return nil
}

// gitHubPublishes says whether the identity that GitHub gets can log in and publish.
func gitHubPublishes(ctx context.Context, r *rehearsal, w azure.World) error {
	if want := w.Prefix + ":environment:production"; w.Subject != want {
		return fmt.Errorf("AADSTS700213: the credential is for %q, and GitHub sends %q", w.Subject, want)
	}
	w.Grants = w.Assigned[azure.GitHub]
	workflow := rehearse(r.t, strings.TrimPrefix(r.environ[len(r.environ)-1], "DEPLOY="), w)
	workflow.write("userrelay.zip", "package")
	workflow.environ = append(workflow.environ, "AZURE_SUBSCRIPTION_ID="+azure.Subscription,
		"AZURE_RESOURCE_GROUP="+w.Text("resource_group"), "AZURE_FUNCTION_APP="+w.Text("function_app_name"))
	return workflow.run(ctx, "go run ./tools/deploy -src userrelay.zip")
}

func secretIsThere(_ context.Context, _ *rehearsal, w azure.World) error {
	if got := w.Vault["kafka-sasl-password"]; got != "the secret" {
		return fmt.Errorf("the vault has %q", got)
	}
	return nil
}

// do rehearses a section after others.
func (s scenario) do(t *testing.T, deploy string, outputs planned) error {
	t.Helper()
	values := outputs.eventHubs
	if s.foreign {
		values = outputs.foreign
	}
	w := newcomer(values)
	w.Grants = append(w.Grants, s.grants...)
	if s.change != nil {
		s.change(&w)
	}
	r := rehearse(t, deploy, w)
	example, err := os.ReadFile("example.tfvars")
	if err != nil {
		return err
	}
	r.write("infra/terraform.tfvars", string(example)) // as the page says
	page := sections(t, s.page)
	if w.Breaks > 0 {
		if err := r.run(t.Context(), "! terraform -chdir=infra apply"); err != nil {
			return fmt.Errorf("the first apply: %w", err)
		}
	}
	for _, section := range append(slices.Clone(s.after), s.section) {
		if err := r.run(t.Context(), page[section]); err != nil {
			return fmt.Errorf("%s: %w", section, err)
		}
	}
	if s.check == nil {
		return nil
	}
	after, _, err := azure.Read(r.tools)
	if err != nil {
		return err
	}
	return s.check(t.Context(), r, after)
}

// builtDeploy builds the program that the pages name.
func builtDeploy(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "deploy")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../tools/deploy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// TestRehearsal types every command of the pages for operators, section by section.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	outputs, deploy := outputsOf(t), builtDeploy(t)
	rehearsed := map[string]bool{}
	for _, s := range scenarios() {
		rehearsed[s.page+" "+s.section] = true
		t.Run(s.section, func(t *testing.T) {
			t.Parallel()
			if sections(t, s.page)[s.section] == "" {
				t.Fatalf("%s has no commands in that section", s.page)
			}
			if err := s.do(t, deploy, outputs); err != nil {
				t.Error(err)
			}
		})
	}
	for _, page := range []string{deployPage, runbookPage} {
		for section := range sections(t, page) {
			if !rehearsed[page+" "+section] {
				t.Errorf("%s: nobody rehearses the commands of %q", page, section)
			}
		}
	}
}

// TestRehearsalFindsFaults types commands that once stood on the pages and cannot work.
func TestRehearsalFindsFaults(t *testing.T) {
	t.Parallel()
	outputs, deploy := outputsOf(t), builtDeploy(t)
	const page = "testdata/faulty.md"
	in := func(w *azure.World) { w.LoggedIn = true }
	faults := map[string]struct {
		scenario

		want string
	}{
		"Publish in the default subscription": {want: "ResourceGroupNotFound"},
		"Ask Terraform after azd":             {want: `Output "resource_group" not found`},
		"azd without its login":               {want: "azd auth login"},
		"azd with a backend":                  {want: "provider.conf.json"},
		"Apply again":                         {scenario: scenario{change: func(w *azure.World) { w.Breaks = 1 }}, want: "could not be deleted"},
		"Secrets":                             {scenario: scenario{foreign: true}, want: "Forbidden"},
		"Publish from GitHub":                 {scenario: scenario{check: gitHubPublishes, change: made}, want: "AADSTS700213"},
		"An output that is not there":         {want: `Output "publish_command" not found`},
		"A variable that nobody set":          {scenario: scenario{change: in}, want: "unbound variable"},
		"A flag that is not there":            {scenario: scenario{change: in}, want: "unrecognized arguments: --app"},
	}
	for section, fault := range faults {
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			fault.page, fault.section = page, section
			if section == "Publish from GitHub" {
				fault.section = "with what was made"
				fault.page = withState(t, sections(t, page)[section])
			}
			switch err := fault.do(t, deploy, outputs); {
			case err == nil:
				t.Error("nothing is found")
			case !strings.Contains(err.Error(), fault.want):
				t.Errorf("found, but not %q: %v", fault.want, err)
			}
		})
	}
	if got, want := slices.Sorted(maps.Keys(sections(t, page))), slices.Sorted(maps.Keys(faults)); !slices.Equal(got, want) {
		t.Errorf("the page has %q, tried are %q", got, want)
	}
	// The role on the app alone, where the subject is right.
	right := sections(t, page)["Publish from GitHub"]
	right = regexp.MustCompile(`repo:OWNER/REPOSITORY:`).ReplaceAllString(right, "repo:octo@1/userrelay@2:")
	s := scenario{page: withState(t, right), section: "with what was made", check: gitHubPublishes, change: made}
	if err := s.do(t, deploy, outputs); err == nil || !strings.Contains(err.Error(), "Microsoft.Web/serverfarms/Read") {
		t.Errorf("a role on the app alone: %v", err)
	}
}

// made is a world in which the app has been made.
func made(w *azure.World) { w.LoggedIn = true }

// withState writes a page whose commands come after an apply.
func withState(t *testing.T, commands string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.md")
	text := "## with what was made\n\n```sh\nterraform -chdir=infra apply\n" + commands + "```\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What azd ran once published at azd up, and nothing at azd deploy.
func TestRehearsalOfAzdFindsFaults(t *testing.T) {
	t.Parallel()
	outputs, deploy := outputsOf(t), builtDeploy(t)
	w := newcomer(outputs.eventHubs)
	w.Default, w.LoggedIn, w.AzdLogin = azure.Subscription, true, true
	r := rehearse(t, deploy, w)
	text, err := os.ReadFile("../azure.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r.write("azure.yaml", strings.ReplaceAll(string(text), "postdeploy:", "postprovision:"))
	if err := r.run(t.Context(), "azd up"); err != nil {
		t.Fatal(err)
	}
	after, _, err := azure.Read(r.tools)
	if err != nil {
		t.Fatal(err)
	}
	if err := azdPublished(t.Context(), r, after); err == nil || !strings.Contains(err.Error(), "have published 1 packages") {
		t.Errorf("found: %v", err)
	}
}
