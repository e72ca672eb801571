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

func terraformCommands() []command {
	return []command{
		{"init", "upgrade backend-config= reconfigure migrate-state", func(*process, arguments) {}},
		{"apply", "auto-approve", func(p *process, a arguments) {
			variables, _ := os.ReadFile(filepath.Join(a.root, "terraform.tfvars"))
			p.apply(stateOf(a.root), string(variables))
		}},
		{"output", "raw json *", func(p *process, a arguments) { p.output(p.world.States[stateOf(a.root)], a) }},
		{"untaint", "*", func(p *process, a arguments) {
			s := p.world.States[stateOf(a.root)]
			if len(a.rest) != 1 || a.rest[0] != theApp || !s.Tainted {
				fail("Error: Invalid target address: no tainted %q in the state", a.rest)
			}
			s.Tainted = false
			p.world.States[stateOf(a.root)] = s
		}},
	}
}

// stateOf returns the name of where the state of a configuration lies.
func stateOf(root string) string {
	if backend(root) {
		return "in Azure"
	}
	return filepath.Join(root, "terraform.tfstate")
}

// backend says whether the configuration keeps its state in Azure.
func backend(root string) bool {
	text, err := os.ReadFile(filepath.Join(root, "backend.tf"))
	return err == nil && strings.Contains(string(text), `backend "azurerm"`)
}

func (p *process) apply(state, variables string) {
	if !p.world.LoggedIn {
		fail("Error: could not configure AzureCli Authorizer: Please run 'az login' to setup account")
	}
	for _, name := range []string{"subscription_id", "location"} {
		if !regexp.MustCompile(name + `"?\s*[:=]\s*"[^"]+"`).MatchString(variables) {
			fail("Error: No value for required variable %s", name)
		}
	}
	for _, action := range []string{"Microsoft.Resources/subscriptions/resourceGroups/write", "Microsoft.Authorization/roleAssignments/write"} {
		p.world.may(action, "/subscriptions/"+Subscription, false)
	}
	switch {
	case p.world.States[state].Tainted:
		fail("Error: deleting %s: the app could not be deleted", theApp)
	case p.world.Breaks:
		p.world.Breaks = false
		p.world.States[state] = State{Tainted: true}
		fail("Error: creating %s: DeploymentFailed", theApp)
	}
	p.world.States[state] = State{Outputs: p.world.Outputs}
	p.world.Made = true
}

func (p *process) destroy(state string) {
	if len(p.world.States[state].Outputs) == 0 {
		fail("the stand-in stops here: there is nothing to destroy in this state")
	}
	p.world.Made = false
	delete(p.world.States, state)
}

func (p *process) output(s State, a arguments) {
	if len(a.rest) == 0 {
		all := map[string]map[string]jsontext.Value{}
		for name, value := range s.Outputs {
			all[name] = map[string]jsontext.Value{"value": value}
		}
		check(json.MarshalWrite(p.stdout, all))
		return
	}
	value, ok := s.Outputs[a.rest[0]]
	if !ok {
		fail("Error: Output %q not found", a.rest[0])
	}
	text := string(value)
	if a.flags["raw"] != "" && json.Unmarshal(value, &text) != nil {
		fail("Error: Unsupported value for raw output")
	}
	_, _ = fmt.Fprint(p.stdout, text)
}
