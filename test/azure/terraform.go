package azure

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// theApp is the resource that a failed first apply leaves tainted.
const theApp = "azurerm_resource_group_template_deployment.function_app"

// State is Terraform's state after an apply.
type State struct {
	Outputs map[string]jsontext.Value
	Tainted bool // the app
}

// terraform acts as Terraform; -chdir precedes the command.
func (p *process) terraform(args []string) error {
	root := "."
	if len(args) > 0 {
		if dir, ok := strings.CutPrefix(args[0], "-chdir="); ok {
			root, args = dir, args[1:]
		}
	}
	state := filepath.Join(root, "terraform.tfstate")
	if backend(root) {
		state = "in Azure"
	}
	return p.dispatch("terraform", []command{
		{"init", "upgrade backend-config= reconfigure migrate-state", func(*process, arguments) error { return nil }},
		{"apply", "auto-approve", func(p *process, _ arguments) error {
			variables, _ := os.ReadFile(filepath.Join(root, "terraform.tfvars"))
			return p.apply(state, string(variables))
		}},
		{"output", "raw json *", func(p *process, a arguments) error { return p.output(p.world.States[state], a) }},
		{"untaint", "*", func(p *process, a arguments) error {
			s := p.world.States[state]
			if len(a.rest) != 1 || a.rest[0] != theApp || !s.Tainted {
				return fail("Error: Invalid target address: no tainted %q in the state", a.rest)
			}
			s.Tainted = false
			p.keep(state, s)
			return nil
		}},
	}, args)
}

// keep keeps a state under the name of where it lies.
func (p *process) keep(name string, s State) {
	if p.world.States == nil {
		p.world.States = map[string]State{}
	}
	p.world.States[name] = s
}

// backend says whether the configuration keeps its state in Azure.
func backend(root string) bool {
	text, err := os.ReadFile(filepath.Join(root, "backend.tf"))
	return err == nil && strings.Contains(string(text), `backend "azurerm"`)
}

func (p *process) apply(state, variables string) error {
	if !p.world.LoggedIn {
		return fail("Error: could not configure AzureCli Authorizer: Please run 'az login' to setup account")
	}
	for _, name := range []string{"subscription_id", "location"} {
		if !regexp.MustCompile(name + `"?\s*[:=]\s*"[^"]+"`).MatchString(variables) {
			return fail("Error: No value for required variable %s", name)
		}
	}
	for _, action := range []string{"Microsoft.Resources/subscriptions/resourceGroups/write", "Microsoft.Authorization/roleAssignments/write"} {
		if err := p.world.may(action, "/subscriptions/"+Subscription, false); err != nil {
			return err
		}
	}
	switch {
	case p.world.States[state].Tainted:
		return fail("Error: deleting %s: the app could not be deleted", theApp)
	case p.world.Breaks:
		p.world.Breaks = false
		p.keep(state, State{Tainted: true})
		return fail("Error: creating %s: DeploymentFailed", theApp)
	}
	p.keep(state, State{Outputs: p.world.Outputs})
	p.world.Made = true
	return nil
}

func (p *process) destroy(state string) error {
	if len(p.world.States[state].Outputs) == 0 {
		return fail("the stand-in stops here: there is nothing to destroy in this state")
	}
	p.world.Made = false
	delete(p.world.States, state)
	return nil
}

func (p *process) output(s State, a arguments) error {
	if len(a.rest) == 0 {
		all := map[string]map[string]jsontext.Value{}
		for name, value := range s.Outputs {
			all[name] = map[string]jsontext.Value{"value": value}
		}
		return json.MarshalWrite(p.stdout, all)
	}
	value, ok := s.Outputs[a.rest[0]]
	if !ok {
		return fail("Error: Output %q not found", a.rest[0])
	}
	text := string(value)
	if a.flags["raw"] != "" {
		if err := json.Unmarshal(value, &text); err != nil {
			return fail("Error: Unsupported value for raw output")
		}
	}
	_, err := fmt.Fprint(p.stdout, text)
	return err
}
