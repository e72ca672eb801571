package infra_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"userrelay/test/azure"
)

// scenario says in which world a section is rehearsed. Who types is Owner of the subscription, unless roles say otherwise.
type scenario struct {
	page, section string
	after         string // a section of the same page that was done before
	foreign       bool   // with a Kafka of one's own
	loggedIn      bool
	breaks        bool   // the first apply has failed
	roles         string // on the subscription
	check         func(ctx context.Context, r *rehearsal, w azure.World) error
	want          string // what must be said about the commands; "": they work
}

func scenarios() []scenario {
	const deploy, runbook, faulty = "../docs/deploy.md", "../docs/runbook.md", "testdata/faulty.md"
	const first = "Five commands"
	return []scenario{
		{page: deploy, section: first, check: published},
		{page: deploy, section: "The same with azd", check: azdPublished},
		{page: deploy, section: "A first apply that failed at the app", loggedIn: true, breaks: true, check: appIsMade},
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

// published says whether one package was published.
func published(_ context.Context, _ *rehearsal, w azure.World) error {
	if len(w.Published) != 1 {
		return fmt.Errorf("%d packages were published", len(w.Published))
	}
	return nil
}

func appIsMade(_ context.Context, _ *rehearsal, w azure.World) error {
	if !w.Made {
		return errors.New("nothing is made")
	}
	return nil
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
	workflow := rehearse(r.t, r.deploy, w)
	write(r.t, filepath.Join(workflow.project, "userrelay.zip"), "package")
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

// do rehearses the section. The error says what is wrong.
func (s scenario) do(t *testing.T, deploy string, outputs map[string]jsontext.Value) error {
	t.Helper()
	// Nothing is made, and who types has another default subscription.
	w := azure.World{Default: azure.Other, Version: "2.87.0", Outputs: outputs, Prefix: "repo:octo@1/userrelay@2", LoggedIn: s.loggedIn, AzdLogin: s.loggedIn, Breaks: s.breaks}
	for role := range strings.SplitSeq(cmp.Or(s.roles, "Owner"), ", ") {
		w.Grants = append(w.Grants, azure.Grant{Role: role, Scope: "/subscriptions/" + azure.Subscription})
	}
	r := rehearse(t, deploy, w)
	if s.breaks {
		if err := r.run(t.Context(), "! terraform -chdir=infra apply"); err != nil {
			return fmt.Errorf("the first apply: %w", err)
		}
	}
	page := sections(t, s.page)
	inOrder := []string{s.section}
	if s.after != "" {
		inOrder = []string{s.after, s.section}
	}
	for _, section := range inOrder {
		if err := r.run(t.Context(), page[section]); err != nil {
			return err
		}
	}
	after, _, err := azure.Read(r.tools)
	if err != nil || s.check == nil {
		return err
	}
	return s.check(t.Context(), r, after)
}

// rehearsePages types the commands of the pages for operators, and commands that once stood there and cannot work.
func rehearsePages(t *testing.T, eventHubs, foreign map[string]jsontext.Value) {
	t.Helper()
	deploy := builtDeploy(t)
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
