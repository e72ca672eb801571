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
	const at = " location,l= subscription="
	return []command{
		{"auth login", "tenant-id= client-id= use-device-code check-status", func(p *process, _ arguments) { p.world.AzdLogin = true }},
		{"env new", "*" + at, func(p *process, a arguments) {
			values := p.choose(a.rest[0])
			values["AZURE_SUBSCRIPTION_ID"], values["AZURE_LOCATION"] = a.flags["subscription"], a.flags["location"]
		}},
		{"env select", "*", func(p *process, a arguments) { p.choose(a.rest[0]) }},
		{"env get-value", "*", func(p *process, a arguments) {
			value, ok := p.values()[a.rest[0]]
			if !ok {
				fail("ERROR: key '%s' not found in the environment values", a.rest[0])
			}
			_, _ = fmt.Fprintln(p.stdout, value)
		}},
		{"up", at, inOrder(hook("preprovision"), (*process).azdProvision, hook("postprovision"), hook("predeploy"), hook("postdeploy"))},
		{"provision", "no-state preview" + at, inOrder(hook("preprovision"), (*process).azdProvision, hook("postprovision"))},
		{"deploy", "* all from-package= timeout=", inOrder(hook("predeploy"), hook("postdeploy"))},
		{"down", "* force purge", inOrder(hook("predown"), func(p *process) { p.destroy(p.azdState()) }, hook("postdown"))},
	}
}

func inOrder(steps ...func(*process)) func(*process, arguments) {
	return func(p *process, _ arguments) {
		if !p.world.AzdLogin {
			fail("ERROR: not logged in, run `azd auth login` to login")
		}
		for _, step := range steps {
			step(p)
		}
	}
}

// choose makes an environment the current one, and returns its values.
func (p *process) choose(name string) map[string]string {
	if p.world.Environments[name] == nil {
		p.world.Environments[name] = map[string]string{"AZURE_ENV_NAME": name}
	}
	p.world.Environment = name
	return p.world.Environments[name]
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
func (p *process) azdProvision() {
	values := p.values()
	for name, answer := range map[string]string{"AZURE_SUBSCRIPTION_ID": Subscription, "AZURE_LOCATION": "westeurope"} {
		if values[name] == "" {
			values[name] = answer
		}
	}
	if _, err := os.Stat("infra/provider.conf.json"); backend("infra") && err != nil {
		fail("ERROR: reading parameter file template: open infra/provider.conf.json: no such file or directory")
	}
	text, err := os.ReadFile("infra/main.tfvars.json")
	if err != nil {
		fail("ERROR: reading parameter file template: %v", err)
	}
	p.apply(p.azdState(), regexp.MustCompile(`\$\{(\w+)(=[^}]*)?\}`).ReplaceAllStringFunc(string(text), func(reference string) string {
		name, preset, _ := strings.Cut(strings.Trim(reference, "${}"), "=")
		if value := values[name]; value != "" {
			return value
		}
		return preset
	}))
	for name, value := range p.world.Outputs {
		values[name] = string(value) // lists as JSON
		var text string
		if json.Unmarshal(value, &text) == nil {
			values[name] = text
		}
	}
}

// hook returns a step that runs a hook of azure.yaml with the environment's values, as azd does in sh.
func hook(name string) func(*process) {
	return func(p *process) {
		text, err := os.ReadFile("azure.yaml")
		if err != nil {
			fail("ERROR: no project exists; to create a new project, run `azd init`")
		}
		var project struct {
			Hooks map[string]struct {
				Posix struct {
					Run string `yaml:"run"`
				} `yaml:"posix"`
			} `yaml:"hooks"`
		}
		if err := yaml.Unmarshal(text, &project); err != nil {
			fail("ERROR: parsing project file: %v", err)
		}
		run := project.Hooks[name].Posix.Run
		if run == "" {
			return
		}
		command := exec.CommandContext(context.Background(), "sh", "-euc", run) //nolint:gosec // G204: the project's own file
		command.Env = p.environ
		for name, value := range p.values() {
			command.Env = append(command.Env, name+"="+value)
		}
		command.Stdout, command.Stderr = p.stdout, p.stderr
		p.save() // the hook's commands are processes of their own
		err = command.Run()
		p.load()
		if err != nil {
			fail("ERROR: '%s' hook failed: %v", name, err)
		}
	}
}
