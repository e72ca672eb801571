package infra_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"userrelay/test/azure"
)

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

// TestPages types the commands of the pages for operators.
func TestPages(t *testing.T) {
	t.Parallel()
	outputs, deploy := outputsOf(t), builtDeploy(t)
	t.Run("as they are", func(t *testing.T) {
		t.Parallel()
		rehearseAll(t, deploy, outputs)
	})
	t.Run("as they were", func(t *testing.T) {
		t.Parallel()
		rehearseFaults(t, deploy, outputs)
	})
	t.Run("by role", func(t *testing.T) {
		t.Parallel()
		rehearseRoles(t, deploy, outputs)
	})
	t.Run("as azd was", func(t *testing.T) {
		t.Parallel()
		rehearseOldHook(t, deploy, outputs)
	})
}

// rehearseAll types every command, section by section.
func rehearseAll(t *testing.T, deploy string, outputs planned) {
	t.Helper()
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

// rehearseFaults types commands that once stood on the pages and cannot work.
func rehearseFaults(t *testing.T, deploy string, outputs planned) {
	t.Helper()
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

// rehearseRoles has people with other roles type the five commands.
func rehearseRoles(t *testing.T, deploy string, outputs planned) {
	t.Helper()
	for role, want := range map[string]string{
		"Owner":       "",
		"Contributor": "Microsoft.Authorization/roleAssignments/write",
		"Contributor, Role Based Access Control Administrator": "",
		"Website Contributor": "Microsoft.Resources/subscriptions/resourceGroups/write",
		"Reader":              "Microsoft.Resources/subscriptions/resourceGroups/write",
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := scenario{page: deployPage, section: "Five commands", change: func(w *azure.World) {
				w.Grants = nil
				for name := range strings.SplitSeq(role, ", ") {
					w.Grants = append(w.Grants, azure.Grant{Role: name, Scope: "/subscriptions/" + azure.Subscription})
				}
			}}
			switch err := s.do(t, deploy, outputs); {
			case want == "" && err != nil:
				t.Error(err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("found %v, want %s", err, want)
			}
		})
	}
}

// rehearseOldHook: what azd ran once published at azd up, and nothing at azd deploy.
func rehearseOldHook(t *testing.T, deploy string, outputs planned) {
	t.Helper()
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
