package azure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"
)

// azdCommands are the commands of azd, without a service and with Terraform (Azure/azure-dev,
// pkg/infra/provisioning/terraform, internal/cmd/up_graph.go and deploy.go).
func azdCommands() []command {
	at := " location,l= subscription="
	return []command{
		{"auth login", "tenant-id= client-id= use-device-code check-status", func(p *process, _ arguments) error {
			p.world.AzdLogin = true
			return nil
		}},
		{"env new", "*" + at, func(p *process, a arguments) error {
			values := p.choose(a.rest[0])
			values["AZURE_SUBSCRIPTION_ID"], values["AZURE_LOCATION"] = a.flags["subscription"], a.flags["location"]
			return nil
		}},
		{"env select", "*", func(p *process, a arguments) error {
			p.choose(a.rest[0])
			return nil
		}},
		{"env get-value", "*", func(p *process, a arguments) error {
			value, ok := p.values()[a.rest[0]]
			if !ok {
				return fail("ERROR: key '%s' not found in the environment values", a.rest[0])
			}
			_, err := fmt.Fprintln(p.stdout, value)
			return err
		}},
		{"up", at, inOrder(hook("preprovision"), (*process).azdProvision, hook("postprovision"), hook("predeploy"), hook("postdeploy"))},
		{"provision", "no-state preview" + at, inOrder(hook("preprovision"), (*process).azdProvision, hook("postprovision"))},
		{"deploy", "* all from-package= timeout=", inOrder(hook("predeploy"), hook("postdeploy"))},
		{"down", "* force purge", inOrder(hook("predown"), func(p *process, _ arguments) error { return p.destroy(p.azdState()) }, hook("postdown"))},
	}
}

func inOrder(steps ...func(*process, arguments) error) func(*process, arguments) error {
	return func(p *process, a arguments) error {
		if !p.world.AzdLogin {
			return fail("ERROR: not logged in, run `azd auth login` to login")
		}
		for _, step := range steps {
			if err := step(p, a); err != nil {
				return err
			}
		}
		return nil
	}
}

// choose makes an environment the current one, and returns its values.
func (p *process) choose(name string) map[string]string {
	w := p.world
	if w.Environments == nil {
		w.Environments = map[string]map[string]string{}
	}
	if w.Environments[name] == nil {
		w.Environments[name] = map[string]string{"AZURE_ENV_NAME": name}
	}
	w.Environment = name
	return w.Environments[name]
}

// values returns the values of the current environment; without one the user answers dev.
func (p *process) values() map[string]string {
	if p.world.Environment == "" {
		return p.choose("dev")
	}
	return p.choose(p.world.Environment)
}

// azdState is where the state of the current environment lies.
func (p *process) azdState() string { return ".azure/" + p.values()["AZURE_ENV_NAME"] }

// azdProvision asks for missing values, fills in main.tfvars.json and applies.
func (p *process) azdProvision(arguments) error {
	values := p.values()
	for name, answer := range map[string]string{"AZURE_SUBSCRIPTION_ID": Subscription, "AZURE_LOCATION": "westeurope"} {
		if values[name] == "" {
			values[name] = answer
		}
	}
	if _, err := os.Stat("infra/provider.conf.json"); backend("infra") && err != nil {
		return fail("ERROR: reading parameter file template: open infra/provider.conf.json: no such file or directory")
	}
	text, err := os.ReadFile("infra/main.tfvars.json")
	if err != nil {
		return fail("ERROR: reading parameter file template: %v", err)
	}
	filled := regexp.MustCompile(`\$\{(\w+)(=[^}]*)?\}`).ReplaceAllStringFunc(string(text), func(reference string) string {
		name, preset, _ := strings.Cut(strings.Trim(reference, "${}"), "=")
		if value := values[name]; value != "" {
			return value
		}
		return preset
	})
	if err := p.apply(p.azdState(), filled); err != nil {
		return err
	}
	for name, value := range p.world.Outputs {
		values[name] = string(value) // lists as JSON
		var text string
		if json.Unmarshal(value, &text) == nil {
			values[name] = text
		}
	}
	return nil
}

// hook returns a step that runs a hook of azure.yaml with the environment's values, as azd does in sh.
func hook(name string) func(*process, arguments) error {
	return func(p *process, _ arguments) error {
		text, err := os.ReadFile("azure.yaml")
		if err != nil {
			return fail("ERROR: no project exists; to create a new project, run `azd init`")
		}
		var project struct {
			Hooks map[string]struct {
				Posix struct {
					Run string `yaml:"run"`
				} `yaml:"posix"`
			} `yaml:"hooks"`
		}
		if err := yaml.Unmarshal(text, &project); err != nil {
			return fail("ERROR: parsing project file: %v", err)
		}
		run := project.Hooks[name].Posix.Run
		if run == "" {
			return nil
		}
		if err := p.world.save(p.folder); err != nil { // the hook's commands are processes of their own
			return err
		}
		command := exec.CommandContext(context.Background(), "sh", "-euc", run) //nolint:gosec // G204: the project's own file
		command.Env = p.environ
		for name, value := range p.values() {
			command.Env = append(command.Env, name+"="+value)
		}
		command.Stdout, command.Stderr = p.stdout, p.stderr
		if err := command.Run(); err != nil {
			return fail("ERROR: '%s' hook failed: %v", name, err)
		}
		p.world, err = load(p.folder)
		return err
	}
}
