package azure

import (
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
		{"env new", "*" + at, (*process).azdNew},
		{"env select", "*", func(p *process, a arguments) error { return p.choose(a.rest[0]) }},
		{"env set", "*", (*process).azdSet},
		{"env get-value", "*", (*process).azdGet},
		{"env get-values", "", (*process).azdValues},
		{"up", at, func(p *process, a arguments) error {
			return p.inOrder(a, p.hook("preprovision"), (*process).azdProvision, p.hook("postprovision"), p.hook("predeploy"), p.hook("postdeploy"))
		}},
		{"provision", "no-state preview" + at, func(p *process, a arguments) error {
			return p.inOrder(a, p.hook("preprovision"), (*process).azdProvision, p.hook("postprovision"))
		}},
		{"deploy", "* all from-package= timeout=", func(p *process, a arguments) error {
			return p.inOrder(a, p.hook("predeploy"), p.hook("postdeploy"))
		}},
		{"down", "* force purge", func(p *process, a arguments) error {
			return p.inOrder(a, p.hook("predown"), (*process).azdDown, p.hook("postdown"))
		}},
	}
}

func (p *process) inOrder(a arguments, steps ...func(*process, arguments) error) error {
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

// environment returns the name of the current environment.
func (p *process) environment(a arguments) string {
	if e := a.flags["environment"]; e != "" {
		return e
	}
	text, err := os.ReadFile(".azure/config.json")
	if err != nil {
		return "dev" // what the user answers
	}
	var config struct {
		Default string `json:"defaultEnvironment"`
	}
	_ = json.Unmarshal(text, &config)
	return config.Default
}

func (p *process) choose(name string) error {
	return errors.Join(os.MkdirAll(filepath.Join(".azure", name), 0o700),
		os.WriteFile(".azure/config.json", fmt.Appendf(nil, `{"defaultEnvironment":%q}`, name), 0o600))
}

// values returns the values of an environment.
func (p *process) values(environment string) map[string]string {
	all := map[string]string{}
	if text, err := os.ReadFile(filepath.Join(".azure", environment, "values.json")); err == nil {
		_ = json.Unmarshal(text, &all)
	}
	all["AZURE_ENV_NAME"] = environment
	return all
}

func (p *process) keep(environment string, values map[string]string) error {
	text, err := json.Marshal(values)
	folder := filepath.Join(".azure", environment)
	return errors.Join(err, os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "values.json"), text, 0o600))
}

func (p *process) azdNew(a arguments) error {
	if len(a.rest) != 1 {
		return fail("ERROR: no name for the environment")
	}
	values := p.values(a.rest[0])
	values["AZURE_SUBSCRIPTION_ID"], values["AZURE_LOCATION"] = a.flags["subscription"], a.flags["location"]
	return errors.Join(p.choose(a.rest[0]), p.keep(a.rest[0], values))
}

func (p *process) azdSet(a arguments) error {
	if len(a.rest) != 2 {
		return fail("ERROR: azd env set takes a key and a value")
	}
	e := p.environment(a)
	values := p.values(e)
	values[a.rest[0]] = a.rest[1]
	return p.keep(e, values)
}

func (p *process) azdGet(a arguments) error {
	value, ok := p.values(p.environment(a))[a.rest[0]]
	if !ok {
		return fail("ERROR: key '%s' not found in the environment values", a.rest[0])
	}
	_, _ = fmt.Fprintln(p.stdout, value)
	return nil
}

func (p *process) azdValues(a arguments) error {
	values := p.values(p.environment(a))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		_, _ = fmt.Fprintf(p.stdout, "%s=%q\n", name, values[name])
	}
	return nil
}

// azdProvision asks for missing values, fills in main.tfvars.json and applies, with the state in the environment's
// folder.
func (p *process) azdProvision(a arguments) error {
	e := p.environment(a)
	values := p.values(e)
	for name, answer := range map[string]string{"AZURE_SUBSCRIPTION_ID": Subscription, "AZURE_LOCATION": "westeurope"} {
		if values[name] == "" {
			values[name] = answer
		}
	}
	if err := errors.Join(p.choose(e), p.keep(e, values)); err != nil {
		return err
	}
	remote := backend("infra")
	if _, err := os.Stat("infra/provider.conf.json"); remote && err != nil {
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
	folder, err := filepath.Abs(filepath.Join(".azure", e, "infra"))
	if err != nil {
		return fmt.Errorf("find the environment's folder: %w", err)
	}
	file := filepath.Join(folder, "main.tfvars.json")
	if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(file, []byte(filled), 0o600)); err != nil { //nolint:gosec // G703: the test's own folder
		return fmt.Errorf("write the variables: %w", err)
	}
	given := arguments{flags: map[string]string{"var-file": file}}
	if !remote {
		given.flags["state"] = filepath.Join(folder, "terraform.tfstate")
	}
	if err := p.tfApply("infra", given); err != nil {
		return err
	}
	for name, value := range p.world.Outputs {
		values[name] = string(value) // lists as JSON
		var text string
		if json.Unmarshal(value, &text) == nil {
			values[name] = text
		}
	}
	return p.keep(e, values)
}

func (p *process) azdDown(a arguments) error {
	folder, err := filepath.Abs(filepath.Join(".azure", p.environment(a), "infra"))
	if err != nil {
		return fmt.Errorf("find the environment's folder: %w", err)
	}
	given := arguments{flags: map[string]string{"var-file": filepath.Join(folder, "main.tfvars.json")}}
	if !backend("infra") {
		given.flags["state"] = filepath.Join(folder, "terraform.tfstate")
	}
	return p.tfDestroy("infra", given)
}

// hook returns a step that runs a hook of azure.yaml with the environment's values, as azd does in sh.
func (p *process) hook(name string) func(*process, arguments) error {
	return func(p *process, a arguments) error {
		text, err := os.ReadFile("azure.yaml")
		if err != nil {
			return fail("ERROR: no project exists; to create a new project, run `azd init`")
		}
		var project struct {
			Hooks map[string]struct {
				Run   string `yaml:"run"`
				Posix struct {
					Run string `yaml:"run"`
				} `yaml:"posix"`
			} `yaml:"hooks"`
		}
		if err := yaml.Unmarshal(text, &project); err != nil {
			return fail("ERROR: parsing project file: %v", err)
		}
		run := project.Hooks[name].Run + project.Hooks[name].Posix.Run
		if run == "" {
			return nil
		}
		if err := p.world.save(p.folder); err != nil { // the hook's commands are processes of their own
			return err
		}
		command := exec.CommandContext(context.Background(), "sh", "-euc", run) //nolint:gosec // G204: the project's own file
		command.Env = p.environ
		for name, value := range p.values(p.environment(a)) {
			command.Env = append(command.Env, name+"="+value)
		}
		command.Stdout, command.Stderr = p.stdout, p.stderr
		err = command.Run()
		after, loading := load(p.folder)
		if loading == nil {
			*p.world = *after
		}
		if err != nil {
			return fail("ERROR: '%s' hook failed: %v", name, err)
		}
		return loading
	}
}
