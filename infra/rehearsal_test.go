package infra_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

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

// scenario says in which world a section is rehearsed. Who types is Owner of the subscription, unless roles say otherwise.
type scenario struct {
	page, section string
	after         string // a section of the same page that was done before
	foreign       bool   // with a Kafka of one's own
	loggedIn      bool
	breaks        bool   // the first apply has failed
	roles         string // on the subscription
	check         func(r *rehearsal, w azure.World) error
	want          string // what must be said about the commands; "": they work
}

func scenarios() []scenario {
	const deploy, runbook, faulty = "../docs/deploy.md", "../docs/runbook.md", "testdata/faulty.md"
	const first = "Five commands"
	published := func(_ *rehearsal, w azure.World) error {
		if len(w.Published) != 1 {
			return fmt.Errorf("%d packages were published", len(w.Published))
		}
		return nil
	}
	secretIsThere := func(_ *rehearsal, w azure.World) error {
		if got := w.Vault["kafka-sasl-password"]; got != "the secret" {
			return fmt.Errorf("the vault has %q", got)
		}
		return nil
	}
	return []scenario{
		{page: deploy, section: first, check: published},
		{page: deploy, section: "The same with azd", check: azdPublished},
		{page: deploy, section: "A first apply that failed at the app", loggedIn: true, breaks: true},
		{page: deploy, section: "Who may do what", after: first, loggedIn: true},
		{page: deploy, section: "Publish from GitHub", after: first, check: gitHubPublishes},
		{page: deploy, section: "Other ways to publish", after: first},
		{page: deploy, section: "A Kafka of your own", foreign: true, loggedIn: true, check: secretIsThere},
		{page: runbook, section: "The outbox grows", loggedIn: true, roles: "Owner, Storage Queue Data Reader"},
		{page: runbook, section: "Poison"},

		{page: deploy, section: first, roles: "Contributor", want: "Microsoft.Authorization/roleAssignments/write"},
		{page: deploy, section: first, roles: "Contributor, Role Based Access Control Administrator", check: published},
		{page: deploy, section: first, roles: "Website Contributor", want: "Microsoft.Resources/subscriptions/resourceGroups/write"},

		{page: faulty, section: "Publish in the default subscription", want: "ResourceGroupNotFound"},
		{page: faulty, section: "Ask Terraform after azd", want: `Output "resource_group" not found`},
		{page: faulty, section: "azd without its login", want: "azd auth login"},
		{page: faulty, section: "azd with a backend", want: "provider.conf.json"},
		{page: faulty, section: "A hook after provision", check: azdPublished, want: "have published 1 packages"},
		{page: faulty, section: "Apply again", breaks: true, loggedIn: true, want: "could not be deleted"},
		{page: faulty, section: "Secrets", foreign: true, want: "Forbidden"},
		{page: faulty, section: "Publish from GitHub", loggedIn: true, check: gitHubPublishes, want: "AADSTS700213"},
		{page: faulty, section: "A role on the app alone", loggedIn: true, check: gitHubPublishes, want: "Microsoft.Web/serverfarms/Read"},
		{page: faulty, section: "An output that is not there", want: `Output "publish_command" not found`},
		{page: faulty, section: "A variable that nobody set", loggedIn: true, want: "unbound variable"},
		{page: faulty, section: "A flag that is not there", loggedIn: true, want: "not defined: -app"},
	}
}

// azdPublished says whether `azd up` and `azd deploy` publish, and whether the second environment had names of its own.
func azdPublished(r *rehearsal, w azure.World) error {
	if len(w.Published) < 1 {
		return errors.New("azd up has published nothing")
	}
	if err := r.run("azd up && azd deploy"); err != nil {
		return err
	}
	if got := len(r.world().Published) - len(w.Published); got != 2 {
		return fmt.Errorf("azd up and azd deploy have published %d packages, want 2", got)
	}
	return nil
}

// gitHubPublishes says whether the identity that GitHub gets can log in and publish.
func gitHubPublishes(r *rehearsal, w azure.World) error {
	if want := w.Prefix + ":environment:production"; w.Subject != want {
		return fmt.Errorf("AADSTS700213: the credential is for %q, and GitHub sends %q", w.Subject, want)
	}
	w.Grants = w.Assigned[azure.GitHub]
	workflow := rehearse(r.t, r.deploy, w)
	write(r.t, filepath.Join(workflow.project, "userrelay.zip"), "package")
	workflow.environ = append(workflow.environ, "AZURE_SUBSCRIPTION_ID="+azure.Subscription,
		"AZURE_RESOURCE_GROUP="+w.Text("resource_group"), "AZURE_FUNCTION_APP="+w.Text("function_app_name"))
	return workflow.run("go run ./tools/deploy -src userrelay.zip")
}

// do rehearses the section. The error says what is wrong.
func (s scenario) do(t *testing.T, deploy string, outputs map[string]jsontext.Value) error {
	t.Helper()
	// Nothing is made, and who types has another default subscription.
	w := azure.World{Default: azure.Other, Version: "2.87.0", Outputs: outputs, Prefix: "repo:octo@1/userrelay@2", LoggedIn: s.loggedIn, AzdLogin: s.loggedIn, Breaks: s.breaks}
	for role := range strings.SplitSeq(cmp.Or(s.roles, "Owner"), ", ") {
		w.Grants = append(w.Grants, azure.Grant{Role: role, Scope: "/subscriptions/" + azure.Subscription})
	}
	r := rehearse(t, deploy, w)
	if s.breaks && r.run("terraform -chdir=infra apply") == nil {
		return errors.New("the first apply has not failed")
	}
	page := sections(t, s.page)
	for _, section := range []string{s.after, s.section} {
		if err := r.run(page[section]); err != nil {
			return err
		}
	}
	if s.check == nil {
		return nil
	}
	return s.check(r, r.world())
}

// rehearsePages types the commands of the pages for operators, and commands that once stood there and cannot work.
func rehearsePages(t *testing.T, eventHubs, foreign map[string]jsontext.Value) {
	t.Helper()
	deploy := filepath.Join(t.TempDir(), "deploy")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", deploy, "../tools/deploy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rehearsed := map[string]bool{}
	for _, s := range scenarios() {
		rehearsed[s.page+" "+s.section] = true
		t.Run(path.Base(s.page)+" "+s.section+" "+s.roles, func(t *testing.T) {
			t.Parallel()
			outputs := eventHubs
			if s.foreign {
				outputs = foreign
			}
			switch err := s.do(t, deploy, outputs); {
			case s.want == "" && err != nil:
				t.Error(err)
			case s.want != "" && (err == nil || !strings.Contains(err.Error(), s.want)):
				t.Errorf("found %v, want %s", err, s.want)
			}
		})
		for section := range sections(t, s.page) {
			if _, ok := rehearsed[s.page+" "+section]; !ok {
				rehearsed[s.page+" "+section] = false
			}
		}
	}
	for section, done := range rehearsed {
		if !done {
			t.Errorf("nobody rehearses the commands of %s", section)
		}
	}
}

// sections returns the commands of a page by the heading above them.
func sections(t *testing.T, file string) map[string]string {
	t.Helper()
	all, heading, inside := map[string]string{}, "", false
	for line := range strings.Lines(read(t, file)) {
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
	deploy  string // the program that the pages name
	environ []string
}

// outputs returns Terraform's outputs. The ids of the mocked cloud have short names.
func outputs(s state) map[string]jsontext.Value {
	values := map[string]jsontext.Value{}
	for name, output := range s.Outputs {
		values[name] = output.Value
	}
	w := azure.World{Outputs: values}
	group := w.Text("resource_group")
	whole := strings.NewReplacer("/resourceGroups/rg/", "/resourceGroups/"+group+"/", "/vaults/kv", "/vaults/kv-"+strings.TrimPrefix(group, "rg-"))
	for name, value := range values {
		values[name] = jsontext.Value(whole.Replace(string(value)))
	}
	return values
}

// rehearse lays the project and the stand-ins.
func rehearse(t *testing.T, deploy string, w azure.World) *rehearsal {
	t.Helper()
	r := &rehearsal{t: t, project: t.TempDir(), tools: t.TempDir(), deploy: deploy}
	r.environ = append(must.Get[[]string](t)(azure.Install(r.tools, w)), "PATH="+r.tools+":/usr/bin:/bin", "HOME="+r.project, "DEPLOY="+deploy)
	copyFiles(t, filepath.Join(r.project, "infra"), "*.tfvars.json", "../azure.yaml")          // which lands beside
	write(t, filepath.Join(r.project, "infra", "terraform.tfvars"), read(t, "example.tfvars")) // what the page has its reader do first
	const sh = "#!/bin/sh\nset -eu\n"
	// The tools whose work is not rehearsed. Deploy prints its commands, and they are run.
	write(t, filepath.Join(r.tools, "go"), sh+`case "$1 $2" in
"run ./tools/deploy") shift 2; "$DEPLOY" -n "$@" > deploy.sh; sh -eu deploy.sh;;
"run ./tools/package") [ "$3" = -o ] && [ $# = 4 ] && echo package > "$4";;
"build -trimpath") [ "$5 $6" = "bin/handler ./handler" ] && mkdir -p bin && echo handler > bin/handler;;
*) echo "go: what is $*?" >&2; exit 2;;
esac`)
	write(t, filepath.Join(r.tools, "curl"), sh+`for url; do :; done; case "$url" in https://*/api/Health) echo '{"status":"ok"}';; *) echo "curl: what is $*?" >&2; exit 2;; esac`)
	write(t, filepath.Join(r.tools, "handler"), sh+`case "$*" in -check|"-check -connect"|"-poison list"|"-poison resend") ;; *) echo "handler: what is $*?" >&2; exit 2;; esac`)
	return r
}

// world returns the world after what was done.
func (r *rehearsal) world() azure.World {
	r.t.Helper()
	return must.Get[azure.World](r.t)(azure.Read(r.tools))
}

// run types commands, with what a page leaves to its reader filled in. The error has what was said.
func (r *rehearsal) run(commands string) error {
	r.t.Helper()
	before := r.world()
	commands = strings.NewReplacer(
		"OWNER/REPOSITORY", "octo/userrelay", "ACCOUNT", "st", "APP.azure", "func.azure", "bin/handler -", "handler -",
		"--vault-name kv ", "--vault-name kv-"+strings.TrimPrefix(before.Text("resource_group"), "rg-")+" ",
	).Replace(commands)
	command := exec.CommandContext(r.t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	command.Dir, command.Env = r.project, r.environ
	command.Stdin = strings.NewReader("the secret\n")
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	if failures := r.world().Failures[len(before.Failures):]; len(failures) > 0 {
		return fmt.Errorf("the shell went on after: %s", strings.Join(failures, "\n"))
	}
	return nil
}
